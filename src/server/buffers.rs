//! Memory that blobs pass through, used again and again: a fresh buffer of this size costs more than filling it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of a buffer: what stays in a core's own cache between being read and being sent. Some are in memory for each
/// answer under way: hyper gathers up to its own limit, and while a blob is hashed the next one is read ahead.
pub(super) const CHUNK: usize = 256 << 10;

/// Buffers kept for the next answers; the rest of what a busy moment needed is given back to the system.
const IDLE: usize = 32;

/// Buffers that are free.
#[derive(Clone, Debug, Default)]
pub(super) struct BufferPool(Arc<Mutex<Vec<Box<[u8]>>>>);

impl BufferPool {
    pub(super) fn take(&self) -> PooledBuffer {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        PooledBuffer { buffer: idle.unwrap_or_else(|| vec![0; CHUNK].into()), filled: 0, home: self.clone() }
    }
}

/// A buffer that goes home when the last byte of it was sent.
#[derive(Debug)]
pub(super) struct PooledBuffer {
    buffer: Box<[u8]>,
    filled: usize,
    home: BufferPool,
}

impl PooledBuffer {
    /// The first `size` bytes that are not filled, or as many as there are.
    pub(super) fn room(&mut self, size: usize) -> &mut [u8] {
        let end = self.buffer.len().min(self.filled + size);
        &mut self.buffer[self.filled..end]
    }

    /// `read` more bytes of it are filled.
    pub(super) fn grow(&mut self, read: usize) {
        self.filled = self.buffer.len().min(self.filled + read);
    }

    /// What it is filled with.
    pub(super) fn filled(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// The same bytes as something that can be sent.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut idle = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(buffer);
        }
    }
}
