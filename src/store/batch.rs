//! The file of an upload: bytes hashed and written in batches, on threads that may wait for the disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Read, Seek, SeekFrom, Write},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;

use super::{
    error::{Result, StoreError},
    sessions::{Session, UploadState},
};
use crate::{
    files::disk,
    oci::{Algorithm, Digest, Hasher},
};

/// Bytes that are hashed and written in one go: large enough that the hand-over to another thread does not count.
pub(super) const BATCH: usize = 512 << 10;

/// Bytes after which the system is asked to bring them to the disk: left to itself it waits for the sync at the end, and so
/// does the client.
const WRITEBACK: u64 = 8 << 20;

/// What goes to the writing thread and comes back. It holds the upload's lock, so that no other writer can begin before
/// the last byte of this one is in the file, also when its request is long gone.
#[derive(Debug)]
pub(super) struct WriteBatch {
    session: Arc<Session>,
    pub(super) progress: OwnedMutexGuard<UploadState>,
    pub(super) file: File,
    /// The content was verified before it came here, and is not hashed again.
    pub(super) trusted: bool,
    /// In the file, up to where the system was asked to bring it to the disk.
    begun: u64,
}

impl WriteBatch {
    /// The file at its end, and the hash of all that is in it.
    pub(super) fn reopen(
        session: Arc<Session>,
        mut progress: OwnedMutexGuard<UploadState>,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let path = &session.path;
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::Superseded),
            Err(source) => return Err(StoreError::write(path, source)),
        };
        if progress.hasher.is_none() {
            progress.hasher = Some(hash(&mut file, algorithm).map_err(|source| StoreError::read(path, source))?);
        }
        let end = file.seek(SeekFrom::End(0)).map_err(|source| StoreError::read(path, source))?;
        session.received.store(end, Ordering::Release);
        Ok(Self { session, progress, file, trusted: false, begun: end })
    }

    pub(super) fn take_in(mut self, chunks: &[Bytes]) -> Result<Self> {
        // While the bytes are in the processor's cache.
        if let Some(hasher) = self.progress.hasher.as_mut().filter(|_| !self.trusted) {
            for chunk in chunks {
                hasher.update(chunk);
            }
        }
        if let Err(source) = write_all(&mut self.file, chunks) {
            // A part of it may be in the file: that counts as received, and the next request hashes it.
            self.progress.hasher = None;
            if let Ok(found) = self.file.metadata() {
                self.session.received.store(found.len(), Ordering::Release);
            }
            return Err(StoreError::write(&self.session.path, source));
        }
        let size: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let received = self.session.received.fetch_add(size, Ordering::AcqRel) + size;
        if received - self.begun >= WRITEBACK {
            disk::begin_writeback(&self.file, self.begun, received - self.begun);
            self.begun = received;
        }
        Ok(self)
    }

    /// The digest of what is in the file, by `algorithm`.
    pub(super) fn digest(&mut self, algorithm: Algorithm) -> Result<Digest> {
        let found = self.progress.hasher.take().map(Hasher::finish);
        if let Some(found) = found.filter(|found| found.algorithm() == algorithm) {
            return Ok(found);
        }
        let again = hash(&mut self.file, algorithm);
        Ok(again.map_err(|source| StoreError::read(&self.session.path, source))?.finish())
    }
}

fn hash(file: &mut File, algorithm: Algorithm) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BATCH];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Writes all of `chunks`, as few calls as can be.
fn write_all(file: &mut File, chunks: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
