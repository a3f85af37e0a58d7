//! A blob on its way to a client, fast, and never a wrong one to the end.
//!
//! A blob that nobody has read whole is read and hashed on threads for blocking work, and its last bytes leave only if the
//! digest is right. One that is known to be good is sent by the kernel, out of the cache of the system, without passing
//! through here ([`Lane`]); what is not in that cache is brought there first, on threads that may wait for a disk.
//!
//! What the kernel sends is the file's pages themselves, up to the moment in which the client takes them. So that nobody
//! who writes over a file in place has wrong bytes pass for right ones, the end of a blob is read and copied, more of it
//! than can be on its way; then it is looked whether the file is the same as before; and then the last of it is let go.

use std::{
    fs, io,
    io::IoSliceMut,
    ops::Range,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use futures::{Stream, stream};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
use tokio::task::JoinHandle;

use super::{
    buffers::{Buffers, CHUNK, Lease},
    closure::Asked,
    direct::{Chunk, Lane},
    file::{Checked, Identity, Located, State},
};
use crate::{content::Error, oci::Hasher};

/// Bytes that are given to the kernel in one piece, and brought into its cache in one go where they are not there.
const WINDOW: u64 = 4 << 20;

/// Bytes of a connection's buffers, ours and the peer's, where the system does not tell: Linux' defaults.
const USUAL_BUFFERS: u64 = (4 + 6) << 20;

/// Bytes that are always copied at the end of a blob: what may be between the kernel's sending and the client's reading,
/// where both are on this machine, and what hyper holds.
static TAIL: LazyLock<u64> = LazyLock::new(|| {
    let largest = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?.split_whitespace().last()?.parse().ok()
    };
    let buffers = largest("tcp_wmem").zip(largest("tcp_rmem")).map_or(USUAL_BUFFERS, |(ours, theirs)| ours + theirs);
    buffers + 4 * CHUNK as u64
});

/// What is read of which blob, and how far that is.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) blob: Located,
    pub(super) identity: Identity,
    /// Within the blob.
    pub(super) range: Range<u64>,
    /// While the whole blob is read for the first time.
    pub(super) hasher: Option<Hasher>,
    pub(super) checked: Arc<Checked>,
    pub(super) buffers: Buffers,
    /// Where it was asked for, if anybody did.
    pub(super) asked: Option<Asked>,
}

/// Whether bytes are in the system's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cached {
    Yes,
    No,
    /// The file system does not say.
    Unknown,
}

impl Sending {
    /// How many bytes are still to be read.
    pub(super) const fn left(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The bytes in order. Where there is a lane, the kernel sends most of them.
    pub(super) fn stream(self, lane: Option<Arc<Lane>>) -> impl Stream<Item = Result<Chunk, Error>> + Send + 'static {
        let lane = lane.filter(|_| self.hasher.is_none());
        stream::unfold(Some(Step::Next(self)), move |step| {
            let lane = lane.clone();
            async move {
                let (chunk, sending) = match step? {
                    Step::Next(sending) => sending.next(lane.as_ref()).await,
                    Step::Reading(reading) => joined(reading).await,
                };
                let more = chunk.is_ok() && !sending.range.is_empty();
                Some((chunk, more.then(|| sending.ahead())))
            }
        })
    }

    /// While the blob is hashed, the next bytes are read while these are sent.
    fn ahead(self) -> Step {
        if self.hasher.is_some() { Step::Reading(self.spawn()) } else { Step::Next(self) }
    }

    async fn next(mut self, lane: Option<&Arc<Lane>>) -> (Result<Chunk, Error>, Self) {
        if let Some((lane, size)) = lane.and_then(|lane| Some((lane, self.window()?))) {
            let cached = self.is_cached(size);
            if cached != Cached::Unknown {
                return self.forward(lane, size, cached).await;
            }
        }
        if self.hasher.is_none()
            && let Some(read) = self.read_cached()
        {
            return (read.map(Chunk::Bytes), self);
        }
        joined(self.spawn()).await
    }

    fn spawn(mut self) -> JoinHandle<(Result<Chunk, Error>, Self)> {
        tokio::task::spawn_blocking(move || {
            let read = self.read();
            (read.map(Chunk::Bytes), self)
        })
    }

    /// How many of the next bytes the kernel may send.
    fn window(&self) -> Option<u64> {
        let left = self.left().saturating_sub(*TAIL);
        (left > 0).then_some(left.min(WINDOW))
    }

    async fn forward(mut self, lane: &Arc<Lane>, size: u64, cached: Cached) -> (Result<Chunk, Error>, Self) {
        if cached == Cached::No {
            let fetched = tokio::task::spawn_blocking(move || (self.bring(size), self)).await;
            let (brought, sending) = fetched.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
            self = sending;
            if let Err(error) = brought {
                return (Err(self.broken(&error)), self);
            }
        }
        let chunk = lane.send(&self.blob, self.position(), usize::try_from(size).unwrap_or(CHUNK));
        self.range.start += size;
        (Ok(chunk), self)
    }

    /// Of the next bytes, in the file.
    fn position(&self) -> u64 {
        self.blob.offset + self.range.start
    }

    /// Looks at both ends: what was read from front to back is there, or is gone, mostly as a whole. Where this is wrong the
    /// kernel waits for the disk, and others with it, for a moment.
    fn is_cached(&self, size: u64) -> Cached {
        for at in [self.position(), self.position() + size - 1] {
            match preadv2(&self.blob.file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT) {
                Ok(1) => {}
                // The file ends before; who reads it will say so.
                Ok(_) | Err(Errno::AGAIN) => return Cached::No,
                Err(_) => return Cached::Unknown,
            }
        }
        Cached::Yes
    }

    /// Reads the next bytes so that they are in the cache. Waits for the disk.
    fn bring(&self, size: u64) -> io::Result<()> {
        let mut at = self.position();
        let end = at + size;
        while at < end {
            let mut lease = self.buffers.take();
            let room = lease.room(usize::try_from(end - at).unwrap_or(CHUNK));
            at += match pread(&self.blob.file, room, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read as u64,
            };
        }
        Ok(())
    }

    /// How many bytes are read next.
    fn wanted(&self) -> usize {
        usize::try_from(self.left()).unwrap_or(CHUNK).min(CHUNK)
    }

    /// The next bytes, if they can be had without waiting.
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
    fn take_in(&mut self, lease: Lease) -> Result<Bytes, Error> {
        self.range.start += lease.filled().len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(lease.filled());
        }
        if self.range.is_empty() {
            self.conclude()?;
        }
        Ok(lease.freeze())
    }

    /// Whether what was read is what was asked for, before the end of it is let go.
    fn conclude(&mut self) -> Result<(), Error> {
        let now = Identity::of(&self.blob.file).map_err(|error| self.broken(&error))?;
        if now != self.identity {
            let (place, blob) = (&self.blob.place, self.blob.digest);
            tracing::error!(%place, %blob, artifact = self.artifacts(), "the file was changed while it was served");
            return Err(Error::NotFound { what: blob.to_string() });
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.blob.digest {
            self.checked.note(&self.blob, self.identity, State::Good);
            return Ok(());
        }
        let (place, blob) = (&self.blob.place, self.blob.digest);
        tracing::error!(%place, %blob, artifact = self.artifacts(), "the blob is damaged; the answer was broken off");
        self.checked.note(&self.blob, self.identity, State::Damaged);
        Err(Error::DigestMismatch { expected: blob, actual })
    }

    fn broken(&self, error: &io::Error) -> Error {
        let (place, blob) = (&self.blob.place, self.blob.digest);
        tracing::error!(%place, %blob, artifact = self.artifacts(), %error, "the blob cannot be read");
        Error::NotFound { what: blob.to_string() }
    }

    fn artifacts(&self) -> String {
        self.asked.as_ref().map(|asked| asked.artifacts(&self.blob.digest)).unwrap_or_default()
    }

    /// Reads the rest and throws the bytes away: whether they are what they should be. Waits for the disk.
    pub(super) fn verify(mut self) -> State {
        loop {
            // Once also where there is nothing to read, for that has a digest too.
            if self.read().is_err() {
                return State::Damaged;
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
    Next(Sending),
    Reading(JoinHandle<(Result<Chunk, Error>, Sending)>),
}

async fn joined(reading: JoinHandle<(Result<Chunk, Error>, Sending)>) -> (Result<Chunk, Error>, Sending) {
    match reading.await {
        Ok(read) => read,
        // Such work is never cancelled but by a runtime that ends, and then nobody waits for it.
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => std::future::pending().await,
        },
    }
}
