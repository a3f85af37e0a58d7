//! What every run needs: its settings.

use std::path::{Path, PathBuf};

use super::lock::who;
use crate::{
    progress::Progress,
    registry, storage,
    transfer::{
        admission::Admission,
        legs::LegRecord,
        vouch::{ImportGuard, VouchError},
    },
    trust::TrustFile,
};

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
    /// Who vouches for what is imported.
    pub trust: TrustContext,
}

/// Whom runs trust, and where they are recorded.
#[derive(Clone, Debug, Default)]
pub struct TrustContext {
    /// The trust file of pipelines that name none.
    pub file: Option<PathBuf>,
    /// The transfer record; without it, the one in the folder of the state, if there is one.
    pub record: Option<PathBuf>,
    /// The folder of the state.
    pub state: PathBuf,
}

impl TrustContext {
    /// The checks of an import of a pipeline that names the trust file `file`, or none.
    pub(super) fn admission(&self, file: Option<&Path>) -> Result<Admission, VouchError> {
        let guard = match file.or(self.file.as_deref()) {
            None => None,
            Some(file) => Some(ImportGuard::new(TrustFile::open(file)?, &self.state, false)?),
        };
        let record = self.record(guard.is_some());
        Ok(Admission { guard, record, reason: None, state: Some(self.state.clone()) })
    }

    /// The record of a run; with `begin` it is begun.
    pub(super) fn record(&self, begin: bool) -> LegRecord {
        LegRecord::new(self.record.clone(), Some(&self.state), begin, who())
    }
}
