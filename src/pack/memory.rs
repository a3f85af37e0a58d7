//! A bound on memory that several threads share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may be in use at once. A thread takes all that it needs before it begins, so none holds some and waits for more.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    free: Mutex<u64>,
    given: Condvar,
}

/// Bytes that were taken; dropping it gives them back.
#[derive(Debug)]
pub(super) struct TakenMemory<'a> {
    limit: &'a MemoryLimit,
    bytes: u64,
}

impl MemoryLimit {
    pub(super) const fn new(bytes: u64) -> Self {
        Self { free: Mutex::new(bytes), given: Condvar::new() }
    }

    /// Takes `bytes`, once they are free. They must be no more than the limit.
    pub(super) fn take(&self, bytes: u64) -> TakenMemory<'_> {
        let mut free = self.given.wait_while(self.free(), |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        TakenMemory { limit: self, bytes }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        // Each change is a single step, so a panic elsewhere leaves it sound.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TakenMemory<'_> {
    fn drop(&mut self) {
        *self.limit.free() += self.bytes;
        self.limit.given.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let limit = MemoryLimit::new(100);
        let first = limit.take(30);
        let second = limit.take(70);
        assert_eq!(*limit.free(), 0);
        drop(first);
        drop(second);
        assert_eq!(*limit.free(), 100);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        drop(limit.take(60));
                    }
                });
            }
        });
        assert_eq!(*limit.free(), 100);
    }
}
