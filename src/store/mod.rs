//! The read-write content store behind `serve --store`: blobs as files by their digest, everything else in SQLite.
//!
//! What a folder of it holds ([`paths`] owns the names):
//!
//! | path | what |
//! |---|---|
//! | `store.sqlite` | repositories, which blobs and manifests each has, the manifests' bytes, tags |
//! | `blobs/ALG/HH/HEX` | verified, complete content; nothing else ever gets such a name |
//! | `uploads/…` | what was received of unfinished uploads; continued after a restart |
//! | `lock` | held by the one process that has the store open |
//!
//! A blob is hashed while it is written, synced, renamed to its final name, and then entered in the database: whatever
//! moment a process dies at, what was acknowledged is there, and what is visible is whole.

mod batch;
mod document;
mod error;
mod gc;
mod metadata;
pub mod paths;
mod repository;
mod seam;
mod upload;

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};

pub use document::{Document, referrer};
pub use error::{Result, StoreError};
pub use gc::{Collected, Sweep};
pub use repository::{Blob, Repository};
pub use upload::{Upload, Writer};

use metadata::Metadata;
use paths::Paths;
use upload::Sessions;

/// An open store. Cloning it is cheap; all clones are one.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    paths: Paths,
    metadata: Metadata,
    sessions: Sessions,
    // Dropped last: with it goes the lock.
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, or makes an empty one there. It is this process's alone until the last clone is dropped.
    pub fn open(dir: &Path) -> Result<Self> {
        let paths = Paths::new(dir);
        for folder in paths.folders() {
            fs::create_dir_all(&folder).map_err(|source| StoreError::write(&folder, source))?;
        }
        let lock_path = paths.lock();
        let lock = File::create(&lock_path).map_err(|source| StoreError::write(&lock_path, source))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| StoreError::Busy { dir: dir.to_owned() })?;
        let metadata = Metadata::open(&paths.database())?;
        Ok(Self(Arc::new(Inner { paths, metadata, sessions: Sessions::default(), _lock: lock })))
    }

    /// Whether `dir` is the folder of a store.
    pub fn is_store(dir: &Path) -> bool {
        Paths::new(dir).database().is_file()
    }

    /// The repository of that name, which need not exist yet: the first push makes it.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::new(self.clone(), name)
    }

    /// Names of repositories in order, at the most `limit`, those after `after` only.
    pub fn repositories(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.0.metadata.read(|db| db.repositories(after.unwrap_or_default(), limit))
    }

    fn paths(&self) -> &Paths {
        &self.0.paths
    }

    fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }
}

/// Runs what waits for the disk where waiting hurts nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Blocking work is never cancelled here, so it can only have panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[cfg(test)]
mod tests;
