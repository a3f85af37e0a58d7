//! Memory of parts, used again: fresh pieces of this size, given back by other threads, would leave holes that add up.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that are at home here; there are never more than parts in memory at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty one.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// A full one as bytes; it comes home when the last who reads them is done.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lease { buffer, home: self.clone() })
    }
}

struct Lease {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
