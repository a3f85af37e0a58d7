//! The open store: its folder, its lock, its database.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};

use super::{
    error::{Result, StoreError},
    metadata::Database,
    paths::Paths,
    sessions::Sessions,
};

/// An open store. Cloning it is cheap; all clones are one.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    paths: Paths,
    metadata: Database,
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
        let metadata = Database::open(&paths.database())?;
        Ok(Self(Arc::new(Inner { paths, metadata, sessions: Sessions::default(), _lock: lock })))
    }

    /// Whether `dir` is the folder of a store.
    pub fn is_store(dir: &Path) -> bool {
        Paths::new(dir).database().is_file()
    }

    /// Names of repositories in order, at the most `limit`, those after `after` only.
    pub fn repositories(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.0.metadata.read(|db| db.repositories(after.unwrap_or_default(), limit))
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.0.paths
    }

    pub(super) fn metadata(&self) -> &Database {
        &self.0.metadata
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }
}

/// Runs what waits for the disk where waiting hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Blocking work is never cancelled here, so it can only have panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
