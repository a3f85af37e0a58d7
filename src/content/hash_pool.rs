//! Hashing off the reactor.
//!
//! There are as many workers as cores. The batch of the content with the most bytes to come goes first, so that a large blob
//! is not alone at the end.

use std::{
    any::Any,
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
};

use bytes::Bytes;
use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    task::spawn_blocking,
};

use crate::oci::Hasher;

/// The pool of each runtime: a runtime must not wait for what another one gave up as it shut down.
static POOLS: LazyLock<Mutex<HashMap<Id, Arc<HashPool>>>> = LazyLock::new(Mutex::default);

/// Workers that a runtime has at most: one a core, since more would share it. Asked for once: the system answers
/// out of the files of its control groups, which takes as long as hashing a small batch.
static CORES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

/// A batch that waits for a worker.
struct Batch {
    hasher: Hasher,
    chunks: Vec<Bytes>,
    /// Bytes of the same content that are still to come.
    left: u64,
    /// What follows, on the same thread: the bytes are still in its core's cache.
    then: Box<dyn FnOnce(Hasher, Vec<Bytes>) + Send>,
}

#[derive(Default)]
struct HashPool(Mutex<PoolState>);

#[derive(Default)]
struct PoolState {
    waiting: Vec<Batch>,
    /// Workers that hash, or are about to.
    busy: usize,
}

/// Hashes `chunks` with `hasher`, then does `then`, both on a thread for blocking work, from now on and whether or not the future
/// is polled. `left` is how many bytes of the same content are still to come. A panic of `then` goes on in the future.
///
/// # Panics
/// Outside a tokio runtime.
pub(super) fn hash<T: Send + 'static>(
    hasher: Hasher,
    chunks: Vec<Bytes>,
    left: u64,
    then: impl FnOnce(Hasher, Vec<Bytes>) -> T + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let (tell, told) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
    let then = Box::new(move |hasher, chunks| {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| then(hasher, chunks)));
        // The result of what was given up is not needed.
        let _ = tell.send(outcome);
    });
    HashPool::here().take_in(Batch { hasher, chunks, left, then });
    async move {
        match told.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => panic::resume_unwind(panic),
            // Only a runtime that shuts down drops a batch, and then the result is not needed.
            Err(_dropped) => std::future::pending().await,
        }
    }
}

impl HashPool {
    /// Those of the runtime that this is called in.
    fn here() -> Arc<Self> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(Handle::current().id()).or_default())
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        // Every change of the state is a single step, so a panic elsewhere leaves it sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(self: Arc<Self>, batch: Batch) {
        let mut state = self.state();
        state.waiting.push(batch);
        if state.busy < *CORES {
            state.busy += 1;
            drop(state);
            spawn_blocking(|| self.run());
        }
    }

    /// Hashes the first batch. The worker continues, on another thread, before what follows is done.
    fn run(self: Arc<Self>) {
        let mut first = next(&mut self.state().waiting);
        if let Some(batch) = &mut first {
            for chunk in &batch.chunks {
                batch.hasher.update(chunk);
            }
        }
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.busy -= 1;
            drop(state);
        } else {
            drop(state);
            spawn_blocking(|| self.run());
        }
        if let Some(batch) = first {
            (batch.then)(batch.hasher, batch.chunks);
        }
    }
}

/// The batch of the content that has the most before it.
fn next(waiting: &mut Vec<Batch>) -> Option<Batch> {
    let (at, _) = waiting.iter().enumerate().max_by_key(|(_, batch)| batch.left)?;
    Some(waiting.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Algorithm, Digest};

    #[tokio::test]
    async fn batches_of_many_contents_are_hashed_each_by_its_own() {
        let contents: Vec<Vec<u8>> = (0..40_u8).map(|at| vec![at; 1000 * usize::from(at)]).collect();
        let hashed = contents.iter().map(|content| {
            let chunks = content.chunks(700).map(Bytes::copy_from_slice).collect();
            hash(Hasher::new(Algorithm::Sha256), chunks, 0, |hasher, _| hasher.finish())
        });
        for (digest, content) in futures::future::join_all(hashed).await.into_iter().zip(&contents) {
            assert_eq!(digest, Digest::sha256(content));
        }
    }

    #[tokio::test]
    async fn a_panic_goes_on_where_the_batch_came_from_and_the_workers_stay() {
        let fails = hash(Hasher::new(Algorithm::Sha256), vec![], 0, |_, _| panic!("of the test"));
        let joined: Result<(), _> = tokio::spawn(fails).await;
        assert!(joined.unwrap_err().is_panic());
        let digest = hash(Hasher::new(Algorithm::Sha256), vec![], 0, |hasher, _| hasher.finish()).await;
        assert_eq!(digest, Digest::sha256(b""));
    }

    #[test]
    fn the_content_with_the_most_to_come_goes_first() {
        let batch = |left| Batch {
            hasher: Hasher::new(Algorithm::Sha256),
            chunks: Vec::new(),
            left,
            then: Box::new(|_, _| {}),
        };
        let mut waiting = vec![batch(5), batch(9), batch(7)];
        let order: Vec<u64> = std::iter::from_fn(|| next(&mut waiting)).map(|batch| batch.left).collect();
        assert_eq!(order, [9, 7, 5]);
    }
}
