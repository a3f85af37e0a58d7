//! The import trigger: a bundle that lands in the source of an enabled import pipeline, or changes there, is imported.
//!
//! A pipeline has a `watcher`, which hears what the system tells of a local folder and looks at any source each interval.
//! Each bundle that is new, or another than before, flies once (`flight`): it is looked at, run as an ordinary pipeline
//! run, and what became of it is written down (`landed`), so that a restart neither forgets nor repeats it. A set of volumes
//! goes by the name of its first volume, and flies once the last of them is there.

mod flight;
mod landed;
mod notice;
mod source;
mod watcher;
mod writers;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    error::{Error, Result},
    resource::{ImportPipeline, Resource, ResourceId},
    response::Status,
    run::{Surroundings, blocking},
    state::State,
};
use crate::content::Fault;
use watcher::Watcher;

/// How often pipelines are read again from the state, so that new and changed ones count.
const RELOAD: Duration = Duration::from_secs(2);

/// How triggers are watched.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Between two looks at a source.
    pub interval: Duration,
    /// Runs at once, of all pipelines together.
    pub runs: usize,
    /// How long runs may go on when the watch is to stop, before they are parked.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), runs: 4, grace: Duration::from_secs(20) }
    }
}

/// What a watch tells of. It holds no secrets.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Told<'a> {
    /// A pipeline is watched from now on.
    Watching {
        /// Which.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
    },
    /// A run has begun.
    Began {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// The bundle's name in the source.
        blob: &'a str,
        /// The run's name.
        run: &'a str,
    },
    /// A run has ended.
    Ended {
        /// The bundle's name in the source.
        blob: &'a str,
        /// How.
        status: Status,
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// The run's name.
        run: &'a str,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// When it is tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
    },
    /// A file is not whole yet.
    Waiting {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// Its name.
        blob: &'a str,
        /// What it lacks.
        why: &'a str,
    },
    /// A file is no bundle.
    Ignored {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// Its name.
        blob: &'a str,
    },
    /// Something cannot be looked at; it is tried again.
    Trouble {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// At which file, if it is not the whole source.
        #[serde(skip_serializing_if = "Option::is_none")]
        blob: Option<&'a str>,
        /// The token, see docs/errors.md.
        token: &'static str,
        /// What happened, with its causes.
        reason: &'a str,
    },
    /// The source can be looked at again.
    Recovered {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
    },
}

fn display<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// What all watches of a process share.
struct Shared {
    state: State,
    options: Options,
    with: Surroundings,
    tell: Box<dyn Fn(&Told<'_>) + Send + Sync>,
    /// Runs at once.
    slots: Arc<Semaphore>,
    /// No new runs.
    stop: CancellationToken,
    /// No runs at all.
    park: CancellationToken,
    flights: TaskTracker,
    /// What is wrong with what, so that it is told once and not at every look.
    troubles: Mutex<HashMap<(ResourceId, Option<String>), String>>,
}

impl Shared {
    fn tell(&self, told: &Told<'_>) {
        (self.tell)(told);
    }

    fn trouble(&self, pipeline: &ResourceId, blob: Option<&str>, error: &Error) {
        let reason = crate::transfer::report::chain(error);
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pipeline.clone(), blob.map(str::to_owned));
        if troubles.insert(key, reason.clone()).as_ref() == Some(&reason) {
            return;
        }
        drop(troubles);
        self.tell(&Told::Trouble { pipeline, blob, token: error.code().token(), reason: &reason });
    }

    /// The source as a whole can be looked at.
    fn well(&self, pipeline: &ResourceId) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let was_troubled = troubles.remove(&(pipeline.clone(), None)).is_some();
        drop(troubles);
        if was_troubled {
            self.tell(&Told::Recovered { pipeline });
        }
    }
}

/// Watches the enabled import pipelines of `state` until `stop`, telling of what happens.
///
/// When it is stopped no run begins any more; those under way may go on for [`Options::grace`], then they are parked: the
/// next watch, or the same pipeline run, goes on with them.
///
/// # Errors
/// The state cannot be read at the beginning. Later troubles are told, and what failed is tried again.
pub async fn watch(
    state: &State,
    options: Options,
    with: Surroundings,
    tell: impl Fn(&Told<'_>) + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<()> {
    let shared = Arc::new(Shared {
        state: state.clone(),
        options,
        with,
        tell: Box::new(tell),
        slots: Arc::new(Semaphore::new(options.runs.max(1))),
        stop: stop.clone(),
        park: CancellationToken::new(),
        flights: TaskTracker::new(),
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
            Err(error) => tracing::warn!(%error, "the pipelines cannot be read again; those known are watched on"),
        }
    }
    drop(watched);
    shared.flights.close();
    if tokio::time::timeout(options.grace, shared.flights.wait()).await.is_err() {
        shared.park.cancel();
        shared.flights.wait().await;
    }
    Ok(())
}

async fn enabled(state: &State) -> Result<Vec<ImportPipeline>> {
    let state = state.clone();
    let all = blocking(move || state.import_pipelines(None)).await?;
    Ok(all.into_iter().filter(|pipeline| pipeline.trigger).collect())
}

/// The pipelines that are watched; each watch ends with its token.
#[derive(Default)]
struct Watched(BTreeMap<ResourceId, (ImportPipeline, tokio_util::sync::DropGuard)>);

impl Watched {
    /// Watches these, and no others. A pipeline that was changed is watched anew.
    fn follow(&mut self, shared: &Arc<Shared>, pipelines: Vec<ImportPipeline>) {
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
