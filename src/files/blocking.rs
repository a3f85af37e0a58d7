//! Work that waits for a disk, on threads that may wait.

/// Runs what blocks where it may.
pub(crate) async fn off_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// What a task for blocking work gave; a panic in it goes on here.
pub(crate) async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(outcome) => outcome,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only a runtime that shuts down cancels such a task, and then the result is not needed.
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}
