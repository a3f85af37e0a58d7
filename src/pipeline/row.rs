//! The database row of a running run. All its writes go through here, one after another, so that an older state never
//! replaces a newer one.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    context::blocking,
    error::Result,
    response::Response,
    state::{PipelineState, Record},
};

/// A row that this process writes.
#[derive(Clone, Debug)]
pub(super) struct Row {
    state: PipelineState,
    record: Arc<Mutex<Record>>,
}

impl Row {
    pub(super) fn new(state: PipelineState, record: Record) -> Self {
        Self { state, record: Arc::new(Mutex::new(record)) }
    }

    /// As it is now.
    pub(super) fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what became of the run, and writes it; it is on the disk when this returns.
    pub(super) async fn note(&self, change: impl FnOnce(&mut Response) + Send + 'static) -> Result<()> {
        let this = self.clone();
        blocking(move || {
            let mut record = this.record.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut record.response);
            this.state.note(&record)
        })
        .await
    }
}
