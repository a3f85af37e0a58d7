//! Where a command's one asynchronous call runs, and how a signal ends it.

use std::{future::Future, pin::Pin, sync::OnceLock};

use tokio::runtime::{Builder, Runtime};

use crate::{failure::CommandError, mistake::Mistake, signal};

/// Does `work` to its end, or until a signal stops it: then it is dropped where it stands.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
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

/// Largest buffer that passes from one part of a transfer to the next, with room for what may be read at once.
const BUFFERS: usize = 4 << 20;

/// Threads for work that blocks, made as they are needed. An answer of `serve` from a packed file has one for as long as its client
/// takes, and the limit of connections is 1024.
const BLOCKING_THREADS: usize = 2048;

/// Has the allocator keep buffers of up to [`BUFFERS`] bytes for the next ones. Otherwise glibc maps and unmaps each one
/// above 128 KiB, and the system clears its pages every time: a tenth of an export. Its limit is, by design, the largest
/// mapped block that was freed so far (mallopt(3), `M_MMAP_THRESHOLD`); other allocators do not mind.
fn keep_buffers() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BUFFERS)));
}

/// Does `work` to its end; it minds signals itself, as a server that shuts down gracefully does.
pub(crate) fn run_to_end<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let mut outcome = None;
    block_on(Box::pin(async { outcome = Some(work.await) }))?;
    outcome.expect("what ran to its end has an outcome")
}

/// Waits for `work`, of whatever kind: each command is one of its own, and the runtime's part in it is there once.
fn block_on(work: Pin<Box<dyn Future<Output = ()> + '_>>) -> Result<(), CommandError> {
    keep_buffers();
    runtime()?.block_on(work);
    Ok(())
}

/// The one runtime of the process: what one call has opened is read in another one. It is never shut down, so hashing and
/// file calls that a stopped run left behind do not hold the exit.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> Result<&'static Runtime, CommandError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // A worker a core, which is tokio's own measure.
    let built =
        Builder::new_multi_thread().enable_all().thread_name("airlift").max_blocking_threads(BLOCKING_THREADS).build();
    let built = built.map_err(|source| Mistake::Runtime { source })?;
    Ok(RUNTIME.get_or_init(|| built))
}
