//! Moves planned blobs, several at once, and tells of every byte. The one engine for every pair of places.

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

use crate::{
    content::{ByteStream, Lookup, Result, Sink, Source, Verified},
    oci::{Descriptor, Hasher},
    progress::{Event, Progress},
};

/// Calls made for one blob whose content came damaged: a proxy or a disk on the way may do better the second time.
const ATTEMPTS: usize = 2;

/// A source that tells how its bytes move. One is made for each blob.
struct Metered {
    inner: Arc<dyn Source>,
    progress: Progress,
    moved: Arc<AtomicU64>,
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
            // A sink asks again when an upload broke: what was told of the first try does not count.
            self.progress.tell(Event::Abandoned { blob: content.digest });
        }
        let (progress, moved, blob) = (self.progress.clone(), Arc::clone(&self.moved), content.digest);
        let stream = self.inner.fetch(content, from).await?;
        let told = stream.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                let bytes = chunk.len() as u64;
                moved.fetch_add(bytes, Ordering::Relaxed);
                progress.tell(Event::Advanced { blob, bytes });
            }
        });
        Ok(told.boxed())
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
    pub(super) async fn run(self, sink: &dyn Sink, progress: &Progress, moved: &Arc<AtomicU64>) -> Result<()> {
        let Self { blob, origins, arrived } = self;
        progress.tell(Event::Started { blob: blob.digest, size: blob.size });
        if let (Some((hasher, from)), Some(origin)) = (arrived, origins.first()) {
            let source = metered(origin, progress, moved);
            progress.tell(Event::Advanced { blob: blob.digest, bytes: from });
            let body = Verified::resume(source, &blob, hasher, from).await;
            if let Ok(body) = body
                && sink.push(&blob, body).await.is_ok()
            {
                progress.tell(Event::Finished { blob: blob.digest });
                return Ok(());
            }
            // The first bytes may be those of another time; from the start, then.
            progress.tell(Event::Abandoned { blob: blob.digest });
        }
        let tries = origins.iter().cycle().take(origins.len().max(ATTEMPTS));
        let mut last = None;
        for origin in tries {
            match attempt(metered(origin, progress, moved), sink, &blob).await {
                Ok(()) => {
                    progress.tell(Event::Finished { blob: blob.digest });
                    return Ok(());
                }
                Err(error) => {
                    progress.tell(Event::Abandoned { blob: blob.digest });
                    let again = is_worth_another_try(&error);
                    last = Some(error);
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| crate::content::Error::NotFound { what: blob.digest.to_string() }))
    }
}

/// A source like `origin` that tells how its bytes move, for one blob.
pub(super) fn metered(origin: &Arc<dyn Source>, progress: &Progress, moved: &Arc<AtomicU64>) -> Arc<dyn Source> {
    Arc::new(Metered {
        inner: Arc::clone(origin),
        progress: progress.clone(),
        moved: Arc::clone(moved),
        begun: AtomicBool::new(false),
    })
}

async fn attempt(source: Arc<dyn Source>, sink: &dyn Sink, blob: &Descriptor) -> Result<()> {
    let body = Verified::open(source, blob).await?;
    sink.push(blob, body).await
}

/// Damage and absence may be this origin's or this moment's; anything else was already retried below.
fn is_worth_another_try(error: &crate::content::Error) -> bool {
    use crate::content::{Class, Fault};
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
