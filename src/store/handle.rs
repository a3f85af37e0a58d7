//! The open store: its folder, its lock, its database.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use super::{
    error::{Result, StoreError},
    metadata::Database,
    paths::Paths,
    sessions::Sessions,
};
use crate::files::{lock, open, private};

/// An open store. Cloning it is cheap; all clones are one.
#[derive(Clone, Debug)]
pub struct Store(Arc<OpenStore>);

#[derive(Debug)]
struct OpenStore {
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
        private::create(dir)?;
        for folder in paths.folders() {
            fs::create_dir_all(&folder).map_err(|source| StoreError::write(&folder, source))?;
        }
        let lock_path = paths.lock();
        let lock = open::own(&lock_path, open::Access::Private)?;
        let locked = lock::exclusive(&lock, &lock_path).map_err(|source| StoreError::write(&lock_path, source))?;
        if locked == lock::Locked::Theirs {
            return Err(StoreError::Busy { dir: dir.to_owned() });
        }
        let metadata = Database::open(&paths.database())?;
        Ok(Self(Arc::new(OpenStore { paths, metadata, sessions: Sessions::default(), _lock: lock })))
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
