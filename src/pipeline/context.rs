//! What every run needs: its settings.

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
    /// Small blobs and requests at once.
    pub small_jobs: usize,
}
