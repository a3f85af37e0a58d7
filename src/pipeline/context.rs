//! What every run needs: settings, and threads for work that blocks.

use crate::{progress::Progress, registry, storage};

/// What a run needs beside its pipeline and its request.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Settings for registries.
    pub registry: registry::Settings,
    /// Settings for storages. The SAS or identity of a pipeline replaces those in it.
    pub storage: storage::Settings,
    /// Receives the events of the run too.
    pub progress: Progress,
    /// Parallel transfers; at least one.
    pub jobs: usize,
}

/// Runs work that waits for the disk on a thread for such work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Blocking work is never cancelled here, so it can only have panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
