//! The options of a watch, and the state that its pipelines share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::event::WatchEvent;
use crate::{
    content::Fault,
    pipeline::{context::RunContext, error::Error, resource::ResourceId, state::PipelineState},
};

/// Options of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time between two listings of a source.
    pub interval: Duration,
    /// Parallel runs of all pipelines together.
    pub runs: usize,
    /// How long to wait for running imports when the watch stops, before they are interrupted.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), runs: 4, grace: Duration::from_secs(20) }
    }
}

/// State that all watches of a process share.
pub(super) struct WatchContext {
    pub(super) state: PipelineState,
    pub(super) options: Options,
    pub(super) with: RunContext,
    pub(super) tell: Box<dyn Fn(&WatchEvent<'_>) + Send + Sync>,
    /// Runs at once.
    pub(super) slots: Arc<Semaphore>,
    /// No new runs.
    pub(super) stop: CancellationToken,
    /// No runs at all.
    pub(super) park: CancellationToken,
    pub(super) jobs: TaskTracker,
    /// Known problems, so that each is reported once and not at every listing.
    pub(super) troubles: Mutex<HashMap<(ResourceId, Option<String>), String>>,
}

impl WatchContext {
    pub(super) fn tell(&self, told: &WatchEvent<'_>) {
        (self.tell)(told);
    }

    pub(super) fn trouble(&self, pipeline: &ResourceId, blob: Option<&str>, error: &Error) {
        let reason = crate::transfer::report::chain(error);
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pipeline.clone(), blob.map(str::to_owned));
        if troubles.insert(key, reason.clone()).as_ref() == Some(&reason) {
            return;
        }
        drop(troubles);
        self.tell(&WatchEvent::Trouble { pipeline, blob, token: error.code().token(), reason: &reason });
    }

    /// The source as a whole can be looked at.
    pub(super) fn well(&self, pipeline: &ResourceId) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let was_troubled = troubles.remove(&(pipeline.clone(), None)).is_some();
        drop(troubles);
        if was_troubled {
            self.tell(&WatchEvent::Recovered { pipeline });
        }
    }
}
