//! The uploads that are under way, by id.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::oci::Hasher;

/// The uploads that this process has touched.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Uuid, Arc<Session>>>);

impl Sessions {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an upload whose file is gone.
    pub(super) fn forget(&self, id: &Uuid) {
        self.lock().remove(id);
    }
}

/// One upload.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) path: PathBuf,
    pub(super) received: AtomicU64,
    /// Cancelled when a later request takes the upload over: a client that lost its connection must not wait for the
    /// server to notice.
    pub(super) turn: Mutex<CancellationToken>,
    pub(super) progress: Arc<tokio::sync::Mutex<UploadState>>,
}

/// What is known of the file's bytes.
#[derive(Debug)]
pub(super) struct UploadState {
    /// Has taken in exactly the file's bytes; `None` where that must be made again from the file.
    pub(super) hasher: Option<Hasher>,
    pub(super) over: bool,
}

pub(super) fn session(path: PathBuf, received: u64, hasher: Option<Hasher>) -> Arc<Session> {
    Arc::new(Session {
        path,
        received: AtomicU64::new(received),
        turn: Mutex::new(CancellationToken::new()),
        progress: Arc::new(tokio::sync::Mutex::new(UploadState { hasher, over: false })),
    })
}
