//! A blob on its way to a client, fast, and never a wrong one to the end.
//!
//! A blob that was not read whole yet is read and hashed on threads for blocking work, and its last bytes leave only if the
//! digest is right. One that is known to be good is read where its answer is written, as long as its bytes are in the
//! system's cache: they are still in the processor's when they are sent, and no thread waits for another. What is not in
//! the system's cache is read on threads that may wait for a disk.
//!
//! The system could send the file by itself (`sendfile`). That was tried and measured: it saves us a third of our time and
//! costs the receiver more, who then is the first to fetch the bytes from memory; and it sends the file's pages as they
//! are when the client takes them, not as they were when they were checked.

use std::{
    io::{self, IoSliceMut},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use futures::{Stream, stream};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
use tokio::task::JoinHandle;

use super::{
    buffers::{BufferPool, CHUNK, PooledBuffer},
    file::{BlobState, CheckedBlobs, FileIdentity, LocalBlob, OwnersOf},
};
use crate::{content::Error, oci::Hasher};

/// What is read of which blob, and how far that is.
pub(super) struct BlobRead {
    pub(super) blob: LocalBlob,
    pub(super) identity: FileIdentity,
    /// Within the blob.
    pub(super) range: Range<u64>,
    /// While the whole blob is read for the first time.
    pub(super) hasher: Option<Hasher>,
    pub(super) checked: Arc<CheckedBlobs>,
    pub(super) buffers: BufferPool,
    pub(super) owners: OwnersOf,
}

impl BlobRead {
    /// The bytes in order.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::unfold(Some(Step::Next(self)), |step| async move {
            let (chunk, sending) = match step? {
                Step::Next(sending) => sending.next().await,
                Step::RequestGuard(reading) => joined(reading).await,
            };
            let more = chunk.is_ok() && !sending.range.is_empty();
            Some((chunk, more.then(|| sending.ahead())))
        })
    }

    /// While the blob is hashed, the next bytes are read while these are sent.
    fn ahead(self) -> Step {
        if self.hasher.is_some() { Step::RequestGuard(self.spawn()) } else { Step::Next(self) }
    }

    async fn next(mut self) -> (Result<Bytes, Error>, Self) {
        if self.hasher.is_none()
            && let Some(read) = self.read_cached()
        {
            return (read, self);
        }
        joined(self.spawn()).await
    }

    fn spawn(mut self) -> JoinHandle<(Result<Bytes, Error>, Self)> {
        tokio::task::spawn_blocking(move || (self.read(), self))
    }

    /// Of the next bytes, in the file.
    fn position(&self) -> u64 {
        self.blob.offset + self.range.start
    }

    /// How many bytes are read next.
    fn wanted(&self) -> usize {
        usize::try_from(self.range.end - self.range.start).unwrap_or(CHUNK).min(CHUNK)
    }

    /// The next bytes, if they can be had without waiting. Not every file system can tell.
    fn read_cached(&mut self) -> Option<Result<Bytes, Error>> {
        let mut lease = self.buffers.take();
        let wanted = self.wanted();
        let room = &mut [IoSliceMut::new(lease.room(wanted))];
        let read = preadv2(&self.blob.file, room, self.position(), ReadWriteFlags::NOWAIT);
        if read != Ok(wanted) {
            return None;
        }
        lease.grow(wanted);
        Some(self.take_in(lease))
    }

    /// The next bytes. Waits for the disk.
    fn read(&mut self) -> Result<Bytes, Error> {
        let mut lease = self.buffers.take();
        let wanted = self.wanted();
        while lease.filled().len() < wanted {
            let (missing, at) = (wanted - lease.filled().len(), self.position() + lease.filled().len() as u64);
            match pread(&self.blob.file, lease.room(missing), at) {
                Ok(0) => return Err(self.broken(&io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => lease.grow(read),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.broken(&error.into())),
            }
        }
        self.take_in(lease)
    }

    /// The last bytes come out only after everything was found right.
    fn take_in(&mut self, lease: PooledBuffer) -> Result<Bytes, Error> {
        self.range.start += lease.filled().len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(lease.filled());
        }
        if self.range.is_empty() {
            self.conclude()?;
        }
        Ok(lease.freeze())
    }

    /// Whether what was read is what was owners for, before the end of it is let go.
    fn conclude(&mut self) -> Result<(), Error> {
        let now = FileIdentity::of(&self.blob.file).map_err(|error| self.broken(&error))?;
        if now != self.identity {
            let (place, blob) = (&self.blob.place, self.blob.digest);
            tracing::error!(%place, %blob, artifact = self.artifacts(), "the file was changed while it was served");
            return Err(Error::NotFound { what: blob.to_string() });
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.blob.digest {
            self.checked.note(&self.blob, self.identity, BlobState::Good);
            return Ok(());
        }
        let (place, blob) = (&self.blob.place, self.blob.digest);
        tracing::error!(%place, %blob, artifact = self.artifacts(), "the blob is damaged; no client gets the end of it");
        self.checked.note(&self.blob, self.identity, BlobState::Damaged);
        Err(Error::DigestMismatch { expected: blob, actual })
    }

    fn broken(&self, error: &io::Error) -> Error {
        let (place, blob) = (&self.blob.place, self.blob.digest);
        tracing::error!(%place, %blob, artifact = self.artifacts(), %error, "the blob cannot be read");
        Error::NotFound { what: blob.to_string() }
    }

    fn artifacts(&self) -> String {
        (self.owners)(&self.blob.digest)
    }

    /// Reads the rest and throws the bytes away: whether they are what they should be. Waits for the disk.
    pub(super) fn verify(mut self) -> BlobState {
        loop {
            // Once also where there is nothing to read, for that has a digest too.
            if self.read().is_err() {
                return BlobState::Damaged;
            }
            if self.range.is_empty() {
                return self.checked.state(&self.blob, self.identity);
            }
        }
    }
}

/// What gives the next chunk.
#[expect(clippy::large_enum_variant, reason = "there is one for an answer under way")]
enum Step {
    Next(BlobRead),
    RequestGuard(JoinHandle<(Result<Bytes, Error>, BlobRead)>),
}

async fn joined(reading: JoinHandle<(Result<Bytes, Error>, BlobRead)>) -> (Result<Bytes, Error>, BlobRead) {
    match reading.await {
        Ok(read) => read,
        // Such work is never cancelled but by a runtime that ends, and then its result is not needed.
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => std::future::pending().await,
        },
    }
}
