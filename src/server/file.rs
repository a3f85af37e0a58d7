//! Where blobs lie, and what is known of their bytes there.
//!
//! A blob is hashed when it is read whole for the first time. After that its file is known to be good, for as long as it
//! stays the same file (device, inode, size, times of change).

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::oci::Digest;

/// Where a blob lies.
#[derive(Clone, Debug)]
pub(super) struct LocalBlob {
    pub(super) file: Arc<File>,
    /// Of the blob's first byte in the file.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// What people know the place by: a bundle's file name, or the store.
    pub(super) place: Arc<str>,
}

/// Names the artifacts that a blob belongs to, should a person need to know.
pub(super) type OwnersOf = Arc<dyn Fn(&Digest) -> String + Send + Sync>;

/// What makes a file the same one as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
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
pub(super) enum BlobState {
    /// They were not read whole yet, or the file has changed since.
    Unknown,
    /// They have the digest.
    Good,
    /// They do not.
    Damaged,
}

/// Which blobs were read whole, out of which files, and how that ended.
#[derive(Debug, Default)]
pub(super) struct CheckedBlobs(Mutex<HashMap<(Digest, u64), (FileIdentity, BlobState)>>);

impl CheckedBlobs {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Digest, u64), (FileIdentity, BlobState)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self, blob: &LocalBlob, identity: FileIdentity) -> BlobState {
        match self.lock().get(&(blob.digest, blob.offset)) {
            Some((known, state)) if *known == identity => *state,
            _ => BlobState::Unknown,
        }
    }

    pub(super) fn note(&self, blob: &LocalBlob, identity: FileIdentity, state: BlobState) {
        self.lock().insert((blob.digest, blob.offset), (identity, state));
    }

    /// Blobs that were found damaged.
    pub(super) fn damaged(&self) -> Vec<Digest> {
        let known = self.lock();
        known.iter().filter(|(_, (_, state))| *state == BlobState::Damaged).map(|((digest, _), _)| *digest).collect()
    }
}
