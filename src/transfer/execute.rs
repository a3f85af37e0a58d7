//! Moves planned blobs, several at once, and meters every byte. The one engine for every pair of places.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::{failure::Side, scheduler::Scheduler};
use crate::{
    content::{self, ByteStream, Class, ContentVerdict, Fault, Lookup, Result, Sink, Source, Verified},
    oci::{Descriptor, Digest, Hasher},
    progress::{Event, Progress},
};

/// Calls made for one blob whose content came damaged: a proxy or a disk on the way may do better the second time.
const ATTEMPTS: usize = 2;

/// What hears of the bytes that move: those who watch, the sum of the run, and the scheduler where there is one.
#[derive(Clone)]
pub(super) struct Meter {
    progress: Progress,
    moved: Arc<AtomicU64>,
    scheduler: Option<Arc<Scheduler>>,
}

impl Meter {
    /// A meter that adds to `moved`.
    pub(super) fn new(progress: &Progress, moved: &Arc<AtomicU64>) -> Self {
        Self { progress: progress.clone(), moved: Arc::clone(moved), scheduler: None }
    }

    /// The same for moves that `scheduler` admits.
    pub(super) fn scheduled(self, scheduler: &Arc<Scheduler>) -> Self {
        Self { scheduler: Some(Arc::clone(scheduler)), ..self }
    }

    /// A source like `origin` whose bytes are metered, for one blob.
    pub(super) fn over(&self, origin: &Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Metered { inner: Arc::clone(origin), meter: self.clone(), begun: AtomicBool::new(false) })
    }

    fn advance(&self, blob: Digest, bytes: u64) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.moved(&blob, bytes);
        }
        self.progress.tell(Event::Advanced { blob, bytes });
    }

    fn abandon(&self, blob: Digest) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.restarts(&blob);
        }
        self.progress.tell(Event::Abandoned { blob });
    }
}

/// A source whose bytes are metered. One is made for each blob.
struct Metered {
    inner: Arc<dyn Source>,
    meter: Meter,
    begun: AtomicBool,
}

#[async_trait]
impl Lookup for Metered {
    async fn contains(&self, content: &Descriptor) -> Result<bool> {
        self.inner.contains(content).await
    }
}

#[async_trait]
impl Source for Metered {
    async fn fetch(&self, content: &Descriptor, from: u64) -> Result<ByteStream> {
        if self.begun.swap(true, Ordering::Relaxed) {
            // A sink asks again when an upload broke: the bytes of the first try do not count.
            self.meter.abandon(content.digest);
        }
        let (meter, blob) = (self.meter.clone(), content.digest);
        let stream = self.inner.fetch(content, from).await?;
        let metered = stream.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                let bytes = chunk.len() as u64;
                meter.moved.fetch_add(bytes, Ordering::Relaxed);
                meter.advance(blob, bytes);
            }
        });
        Ok(metered.boxed())
    }
}

/// A move that failed, and the end of it that did: the source or the target.
#[derive(Debug)]
pub(super) struct BrokenMove {
    pub(super) side: Side,
    pub(super) error: content::Error,
}

impl BrokenMove {
    pub(super) const fn at_source(error: content::Error) -> Self {
        Self { side: Side::Source, error }
    }

    /// What a sink answered to content of which this is the verdict.
    pub(super) fn of(verdict: &ContentVerdict, error: content::Error) -> Self {
        Self { side: if verdict.blames_content() { Side::Source } else { Side::Target }, error }
    }
}

/// One blob to move: where it may be had, and what is known of its first bytes.
pub(super) struct Move {
    /// What moves.
    pub(super) blob: Descriptor,
    /// Where it may be had, best first; never empty.
    pub(super) origins: Vec<Arc<dyn Source>>,
    /// The first bytes are in the sink already and were taken in by this hasher.
    pub(super) arrived: Option<(Hasher, u64)>,
}

impl Move {
    /// Moves the blob into `sink`: from the first origin that gives it whole and right.
    pub(super) async fn run(self, sink: &dyn Sink, meter: &Meter) -> Result<(), BrokenMove> {
        let Self { blob, origins, arrived } = self;
        meter.progress.tell(Event::Started { blob: blob.digest, size: blob.size });
        if let (Some((hasher, from)), Some(origin)) = (arrived, origins.first()) {
            meter.advance(blob.digest, from);
            let body = Verified::resume(meter.over(origin), &blob, hasher, from).await;
            if let Ok(body) = body
                && sink.push(&blob, body).await.is_ok()
            {
                meter.progress.tell(Event::Finished { blob: blob.digest });
                return Ok(());
            }
            // The first bytes may be those of another time; from the start, then.
            meter.abandon(blob.digest);
        }
        let tries = origins.iter().cycle().take(origins.len().max(ATTEMPTS));
        let mut last = None;
        for origin in tries {
            match attempt(meter.over(origin), sink, &blob).await {
                Ok(()) => {
                    meter.progress.tell(Event::Finished { blob: blob.digest });
                    return Ok(());
                }
                Err(broken) => {
                    meter.abandon(blob.digest);
                    let again = is_worth_another_try(&broken.error);
                    last = Some(broken);
                    if !again {
                        break;
                    }
                }
            }
        }
        let nowhere = || BrokenMove::at_source(content::Error::NotFound { what: blob.digest.to_string() });
        Err(last.unwrap_or_else(nowhere))
    }
}

async fn attempt(source: Arc<dyn Source>, sink: &dyn Sink, blob: &Descriptor) -> Result<(), BrokenMove> {
    let body = Verified::open(source, blob).await.map_err(BrokenMove::at_source)?;
    let verdict = body.verdict();
    sink.push(blob, body).await.map_err(|error| BrokenMove::of(&verdict, error))
}

/// Damage and absence may be this origin's or this moment's; anything else was already retried below.
fn is_worth_another_try(error: &content::Error) -> bool {
    error.is_not_found() || error.code().class() == Class::Unverified
}

/// Lets any item begin beside fewer than `jobs` others.
pub(super) fn at_once<I>(jobs: usize) -> impl Fn(&I, usize) -> bool {
    move |_, running| running < jobs.max(1)
}

/// Runs `work` on each item in a task of its own, and hands every result to `done` as it comes.
///
/// The next item begins as soon as `begins`, which is told how many are under way, lets it; it must where there are none. `done`
/// gives further items, which go first, or ends the run: then what is under way stops at its next await, and nothing new
/// begins.
pub(super) async fn each<I, T, F, W>(
    items: impl IntoIterator<Item = I>,
    begins: impl Fn(&I, usize) -> bool,
    work: W,
    mut done: impl FnMut(T) -> ControlFlow<(), Vec<I>>,
) -> std::result::Result<(), tokio::task::JoinError>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    W: Fn(I) -> F,
{
    let mut waiting: VecDeque<I> = items.into_iter().collect();
    let mut running = JoinSet::new();
    loop {
        while let Some(item) = waiting.pop_front_if(|item| begins(item, running.len())) {
            running.spawn(work(item));
        }
        let Some(result) = running.join_next().await else {
            assert!(waiting.is_empty(), "what waits begins where nothing is under way");
            return Ok(());
        };
        match done(result?) {
            ControlFlow::Continue(more) => more.into_iter().for_each(|item| waiting.push_front(item)),
            ControlFlow::Break(()) => {
                // Waited for, so that whatever the tasks share has one owner again.
                running.shutdown().await;
                return Ok(());
            }
        }
    }
}
