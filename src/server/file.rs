//! Reading a blob's bytes out of a file, fast, and never wrong ones to the end.
//!
//! A blob is hashed when it is read whole for the first time; its last bytes leave only if the digest is right. After that
//! its file is known to be good, for as long as it stays the same file (device, inode, size, times of change).

use std::{
    collections::HashMap,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{Stream, stream};
use rustix::{buffer::spare_capacity, io::pread};

use crate::{
    content::Error,
    oci::{Digest, Hasher},
};

/// Bytes read at once. Two of them are in memory for each answer under way: one is sent while the next is read.
const CHUNK: usize = 256 << 10;

/// Buffers kept for the next answers; the rest of what a busy moment needed is given back to the system.
const IDLE_BUFFERS: usize = 32;

/// Where a blob lies.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) file: Arc<File>,
    /// Of the blob's first byte in the file.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// What people know the place by: a bundle's file name, or the store.
    pub(super) place: Arc<str>,
}

/// What makes a file the same one as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// What is known of a blob's bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has read them whole yet, or the file has changed since.
    Unknown,
    /// They have the digest.
    Good,
    /// They do not.
    Damaged,
}

/// Which blobs were read whole, out of which files, and how that ended.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<HashMap<(Digest, u64), (Identity, State)>>);

impl Checked {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Digest, u64), (Identity, State)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self, blob: &Located, identity: Identity) -> State {
        match self.lock().get(&(blob.digest, blob.offset)) {
            Some((known, state)) if *known == identity => *state,
            _ => State::Unknown,
        }
    }

    fn note(&self, blob: &Located, identity: Identity, state: State) {
        self.lock().insert((blob.digest, blob.offset), (identity, state));
    }

    /// Blobs that were found damaged.
    pub(super) fn damaged(&self) -> Vec<Digest> {
        let known = self.lock();
        known.iter().filter(|(_, (_, state))| *state == State::Damaged).map(|((digest, _), _)| *digest).collect()
    }
}

/// Buffers that were used and can be used again: fresh ones of this size cost more than filling them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn take(&self) -> Lease {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { buffer: idle.unwrap_or_else(|| Vec::with_capacity(CHUNK)), home: self.clone() }
    }
}

/// A buffer that goes home when the last byte of it was sent.
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
        let mut idle = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_BUFFERS {
            idle.push(buffer);
        }
    }
}

/// Reads one blob from front to back.
struct Reading {
    blob: Located,
    identity: Identity,
    /// Within the blob.
    at: u64,
    end: u64,
    /// While the whole blob is read for the first time.
    hasher: Option<Hasher>,
    checked: Arc<Checked>,
    buffers: Buffers,
}

impl Reading {
    /// The next bytes. The last ones come only after everything was found right.
    fn read(&mut self) -> Result<Bytes, Error> {
        let mut lease = self.buffers.take();
        let wanted = usize::try_from(self.end - self.at).unwrap_or(CHUNK).min(CHUNK);
        self.fill(&mut lease.buffer, wanted).map_err(|error| self.broken(&error))?;
        self.at += wanted as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&lease.buffer);
        }
        if self.at == self.end {
            self.conclude()?;
        }
        Ok(Bytes::from_owner(lease))
    }

    fn fill(&self, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
        buffer.reserve_exact(wanted);
        while buffer.len() < wanted {
            let at = self.blob.offset + self.at + buffer.len() as u64;
            // A recycled buffer may have more room than is wanted here.
            let read = if buffer.capacity() == wanted {
                pread(&self.blob.file, spare_capacity(buffer), at)?
            } else {
                let have = buffer.len();
                buffer.resize(wanted, 0);
                let read = pread(&self.blob.file, &mut buffer[have..], at)?;
                buffer.truncate(have + read);
                read
            };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Whether what was read is what was asked for, before the end of it is let go.
    fn conclude(&mut self) -> Result<(), Error> {
        let now = Identity::of(&self.blob.file).map_err(|error| self.broken(&error))?;
        if now != self.identity {
            tracing::error!(place = %self.blob.place, blob = %self.blob.digest, "the file was changed while it was served");
            return Err(Error::NotFound { what: self.blob.digest.to_string() });
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.blob.digest {
            self.checked.note(&self.blob, self.identity, State::Good);
            return Ok(());
        }
        tracing::error!(place = %self.blob.place, blob = %self.blob.digest, "the blob is damaged; the answer was broken off");
        self.checked.note(&self.blob, self.identity, State::Damaged);
        Err(Error::DigestMismatch { expected: self.blob.digest, actual })
    }

    fn broken(&self, error: &io::Error) -> Error {
        tracing::error!(place = %self.blob.place, blob = %self.blob.digest, %error, "the blob cannot be read");
        Error::NotFound { what: self.blob.digest.to_string() }
    }
}

/// The bytes of `blob` in `range`. `hash` if it is the whole of it and was not read whole before.
pub(super) fn stream(
    blob: Located,
    identity: Identity,
    range: Range<u64>,
    hash: bool,
    checked: Arc<Checked>,
    buffers: Buffers,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    let hasher = hash.then(|| Hasher::new(blob.digest.algorithm()));
    let reading = Reading { blob, identity, at: range.start, end: range.end, hasher, checked, buffers };
    stream::unfold(Some(spawn(reading)), |under_way| async move {
        let (read, reading) = under_way?.await.ok()?;
        let more = read.is_ok() && reading.at < reading.end;
        Some((read, more.then(|| spawn(reading))))
    })
}

fn spawn(mut reading: Reading) -> tokio::task::JoinHandle<(Result<Bytes, Error>, Reading)> {
    tokio::task::spawn_blocking(move || {
        let read = reading.read();
        (read, reading)
    })
}

/// Reads the whole blob and throws the bytes away: whether it is what it should be. Waits for the disk.
pub(super) fn verify(blob: &Located, identity: Identity, checked: &Arc<Checked>, buffers: &Buffers) -> State {
    let mut reading = Reading {
        blob: blob.clone(),
        identity,
        at: 0,
        end: blob.size,
        hasher: Some(Hasher::new(blob.digest.algorithm())),
        checked: Arc::clone(checked),
        buffers: buffers.clone(),
    };
    loop {
        // Once also where there is nothing to read, for that has a digest too.
        if reading.read().is_err() {
            return State::Damaged;
        }
        if reading.at == reading.end {
            break;
        }
    }
    checked.state(blob, identity)
}
