//! Where a command's one asynchronous call runs, and how a signal ends it.

use std::future::Future;

use tokio::runtime::Builder;

use crate::{failure::Failure, mistake::Mistake, signal};

/// Does `work` to its end, or until a signal stops it: then it is dropped where it stands.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_to_end(async {
        let stopped = signal::received();
        tokio::select! {
            outcome = work => outcome,
            signal = stopped => {
                let signal = signal.map_err(|source| Mistake::Runtime { source })?;
                Err(Mistake::Interrupted { signal }.into())
            }
        }
    })
}

/// Does `work` to its end; it minds signals itself, as a server that shuts down gracefully does.
pub(crate) fn run_to_end<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // A worker a core, which is tokio's own measure.
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("airlift")
        .build()
        .map_err(|source| Mistake::Runtime { source })?;
    let outcome = runtime.block_on(work);
    // Hashing and file calls that a stopped run left behind must not hold the exit.
    runtime.shutdown_background();
    outcome
}
