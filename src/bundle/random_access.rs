//! What a tar is read from: a file here, or bytes elsewhere. Every call blocks; none may be made on the reactor.

use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::runtime::Handle;

use crate::{
    content::{ReadAt, read_at::read_whole},
    files::disk,
    oci::Hasher,
};

/// A file, or something that is read like one.
#[derive(Clone, Debug)]
pub(crate) enum RandomAccess {
    File(Arc<File>),
    Remote(Arc<Remote>),
}

/// Bytes elsewhere.
#[derive(Debug)]
pub(crate) struct Remote {
    from: Arc<dyn ReadAt>,
    runtime: Handle,
    /// What was brought last, and where it begins.
    window: Mutex<(u64, Bytes)>,
}

impl From<File> for RandomAccess {
    fn from(file: File) -> Self {
        Self::File(Arc::new(file))
    }
}

impl RandomAccess {
    /// Bytes elsewhere. Called on a runtime, which does the reading from then on.
    pub(crate) fn remote(from: Arc<dyn ReadAt>) -> Self {
        Self::Remote(Arc::new(Remote { from, runtime: Handle::current(), window: Mutex::default() }))
    }

    /// Up to `size` bytes at `offset`, fewer where the medium ends.
    pub(crate) fn read_up_to(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => disk::read_up_to(file, offset, size),
            Self::Remote(remote) => remote.read_up_to(offset, size),
        }
    }

    /// Copies `size` bytes from `offset` on to `at` in `goal`.
    pub(crate) fn carry_over(&self, offset: u64, goal: &File, at: u64, size: u64) -> io::Result<()> {
        match self {
            Self::File(file) => disk::carry_over(file, offset, goal, at, size),
            Self::Remote(remote) => remote.carry_over(offset, goal, at, size),
        }
    }

    /// Takes `size` bytes from `offset` on into `hasher`; `each` gets every chunk's length. `false` where the medium
    /// ends before.
    pub(crate) fn update_at(
        &self,
        hasher: &mut Hasher,
        offset: u64,
        size: u64,
        buffer: &mut Vec<u8>,
        each: impl FnMut(u64),
    ) -> io::Result<bool> {
        match self {
            Self::File(file) => disk::update_at(hasher, file, offset, size, buffer, each),
            Self::Remote(remote) => remote.update_at(hasher, offset, size, each),
        }
    }
}

impl Remote {
    pub(crate) fn from(&self) -> &Arc<dyn ReadAt> {
        &self.from
    }

    fn read_up_to(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(size).min(self.from.size());
        let wanted = offset.min(end)..end;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = cut(&window, &wanted) {
            return Ok(bytes.to_vec());
        }
        // Only who reads on gets more than was asked for: a look at one header must not bring what lies behind it.
        let follows = (window.0..=window.0 + window.1.len() as u64).contains(&wanted.start);
        if !follows {
            return Ok(self.bring(wanted)?.to_vec());
        }
        let more =
            wanted.start..wanted.end.max(wanted.start.saturating_add(self.from.read_ahead())).min(self.from.size());
        *window = (wanted.start, self.bring(more)?);
        Ok(cut(&window, &wanted).unwrap_or_default().to_vec())
    }

    fn bring(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.runtime.block_on(read_whole(&*self.from, range)).map_err(io::Error::other)
    }

    fn carry_over(&self, offset: u64, goal: &File, mut at: u64, size: u64) -> io::Result<()> {
        let mut stream = self.runtime.block_on(self.from.read(offset..offset + size)).map_err(io::Error::other)?;
        while let Some(chunk) = self.runtime.block_on(stream.try_next()).map_err(io::Error::other)? {
            goal.write_all_at(&chunk, at)?;
            at += chunk.len() as u64;
        }
        Ok(())
    }

    fn update_at(&self, hasher: &mut Hasher, offset: u64, size: u64, mut each: impl FnMut(u64)) -> io::Result<bool> {
        let end = offset.saturating_add(size);
        if end > self.from.size() {
            return Ok(false);
        }
        let mut stream = self.runtime.block_on(self.from.read(offset..end)).map_err(io::Error::other)?;
        let mut done = 0;
        while let Some(chunk) = self.runtime.block_on(stream.try_next()).map_err(io::Error::other)? {
            hasher.update(&chunk);
            done += chunk.len() as u64;
            each(chunk.len() as u64);
        }
        Ok(done == size)
    }
}

/// The part `wanted` of what a window holds.
fn cut((start, bytes): &(u64, Bytes), wanted: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(wanted.start.checked_sub(*start)?).ok()?;
    let to = usize::try_from(wanted.end.checked_sub(*start)?).ok()?;
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}
