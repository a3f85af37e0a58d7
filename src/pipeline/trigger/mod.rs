//! The import trigger: imports each bundle that appears or changes in the source of an enabled import pipeline.
//!
//! Each pipeline has a `watcher`. It receives file system notices of a local folder and lists any source at each interval.
//! Each new or changed bundle becomes one `import_job`: the job checks the bundle, starts an ordinary pipeline run, and
//! records the result (`landed`), so that a restart neither forgets nor repeats it. A set of volumes is imported under the
//! name of its first volume, once all volumes are there.

mod context;
mod event;
mod import_job;
mod landed;
mod notice;
mod source;
mod watcher;
mod writers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    context::{RunContext, blocking},
    error::Result,
    resource::{ImportPipeline, Resource, ResourceId},
    state::PipelineState,
};
pub use context::Options;
use context::WatchContext;
pub use event::WatchEvent;
use watcher::Watcher;

/// How often to read the pipelines from the state, to notice new and changed ones.
const RELOAD: Duration = Duration::from_secs(2);

/// Watches the enabled import pipelines of `state` until `stop`, and reports events to `tell`.
///
/// After `stop` it starts no new run. It waits up to [`Options::grace`] for the current runs, then interrupts them; the
/// next watch, or the same pipeline run, resumes them.
///
/// # Errors
/// The state cannot be read at the start. Later problems are reported as events, and failed work is retried.
pub async fn watch(
    state: &PipelineState,
    options: Options,
    with: RunContext,
    tell: impl Fn(&WatchEvent<'_>) + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<()> {
    let shared = Arc::new(WatchContext {
        state: state.clone(),
        options,
        with,
        tell: Box::new(tell),
        slots: Arc::new(Semaphore::new(options.runs.max(1))),
        stop: stop.clone(),
        park: CancellationToken::new(),
        jobs: TaskTracker::new(),
        troubles: Mutex::default(),
    });
    let mut watched = Watched::default();
    watched.follow(&shared, enabled(state).await?);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(RELOAD) => {}
        }
        match enabled(state).await {
            Ok(pipelines) => watched.follow(&shared, pipelines),
            Err(error) => tracing::warn!(%error, "cannot read the pipelines again; the known ones are still watched"),
        }
    }
    drop(watched);
    shared.jobs.close();
    if tokio::time::timeout(options.grace, shared.jobs.wait()).await.is_err() {
        shared.park.cancel();
        shared.jobs.wait().await;
    }
    Ok(())
}

async fn enabled(state: &PipelineState) -> Result<Vec<ImportPipeline>> {
    let state = state.clone();
    let all = blocking(move || state.import_pipelines(None)).await?;
    Ok(all.into_iter().filter(|pipeline| pipeline.trigger).collect())
}

/// The watched pipelines. Each watch ends with its token.
#[derive(Default)]
struct Watched(BTreeMap<ResourceId, (ImportPipeline, tokio_util::sync::DropGuard)>);

impl Watched {
    /// Watches these pipelines and no others. The watch of a changed pipeline restarts.
    fn follow(&mut self, shared: &Arc<WatchContext>, pipelines: Vec<ImportPipeline>) {
        let mut wanted: BTreeMap<ResourceId, ImportPipeline> =
            pipelines.into_iter().map(|pipeline| (Resource::Import(pipeline.clone()).id(), pipeline)).collect();
        self.0.retain(|id, (pipeline, _)| wanted.get(id) == Some(pipeline));
        wanted.retain(|id, _| !self.0.contains_key(id));
        for (id, pipeline) in wanted {
            let token = CancellationToken::new();
            let (stop, shared, copy) = (token.clone(), Arc::clone(shared), pipeline.clone());
            self.0.insert(id.clone(), (pipeline, token.drop_guard()));
            tokio::spawn(async move {
                let opened = async {
                    loop {
                        match Watcher::open(Arc::clone(&shared), copy.clone()).await {
                            Ok(open) => return open,
                            Err(error) => shared.trouble(&id, None, &error),
                        }
                        tokio::time::sleep(shared.options.interval).await;
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    open = opened => open.watch(stop.clone()).await,
                }
            });
        }
    }
}
