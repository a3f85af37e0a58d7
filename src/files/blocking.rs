//! Work that waits for a disk, on threads that may wait.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Runs what blocks where it may. A panic in it goes on here.
pub(crate) async fn off_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    or_resumed(caught(work).await).await
}

/// As [`off_reactor`], with a panic as an error.
pub(crate) async fn caught<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let outcome = Arc::new(Mutex::new(None));
    let place = Arc::clone(&outcome);
    // One kind of task for all work: the runtime's own code for a task is large, and each kind has a copy of it.
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        let done = work();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    spawn_blocking(work).await?;
    let done = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(done.expect("work that ends without a panic leaves its outcome"))
}

/// What a task for blocking work gave; a panic in it goes on here.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    or_resumed(task.await).await
}

async fn or_resumed<T>(outcome: Result<T, JoinError>) -> T {
    match outcome.map_err(JoinError::try_into_panic) {
        Ok(outcome) => outcome,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only a runtime that shuts down cancels such a task, and then the result is not needed.
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_gives_what_it_makes_and_its_panic_goes_on_in_the_caller() {
        assert_eq!(off_reactor(|| vec![1, 2]).await, [1, 2]);
        assert!(caught(|| -> u8 { panic!("as asked for") }).await.unwrap_err().is_panic());
        let caller = tokio::spawn(off_reactor(|| -> u8 { std::panic::panic_any("as asked for") }));
        let panic = caller.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"as asked for"));
    }
}
