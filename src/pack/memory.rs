//! A bound on memory that several threads share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may be in use at once. A thread takes all that it needs before it begins, so none holds some and waits for more.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    all: u64,
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
        Self { all: bytes, free: Mutex::new(bytes), given: Condvar::new() }
    }

    /// Takes `bytes`, once they are free. They must be no more than the limit.
    pub(super) fn take(&self, bytes: u64) -> TakenMemory<'_> {
        let mut free = self.given.wait_while(self.free(), |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        TakenMemory { limit: self, bytes }
    }

    /// Takes `bytes`, or all there are if these are fewer, once they are free: then nothing else is done meanwhile.
    pub(super) fn take_up_to(&self, bytes: u64) -> TakenMemory<'_> {
        self.take(bytes.min(self.all))
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

/// A bound on memory that makes work faster: who gets none does without.
#[derive(Debug)]
pub(super) struct SpareMemory {
    all: u64,
    free: Mutex<u64>,
}

/// Bytes that were taken of it; dropping it gives them back.
#[derive(Debug)]
pub(super) struct SpareShare<'a> {
    memory: &'a SpareMemory,
    bytes: u64,
}

impl SpareMemory {
    pub(super) const fn new(bytes: u64) -> Self {
        Self { all: bytes, free: Mutex::new(bytes) }
    }

    /// Takes `bytes`, if they are free.
    pub(super) fn take(&self, bytes: u64) -> Option<SpareShare<'_>> {
        self.take_above(bytes, 0)
    }

    /// Takes `bytes`, if half of all is still free then: for what can wait.
    pub(super) fn take_early(&self, bytes: u64) -> Option<SpareShare<'_>> {
        self.take_above(bytes, self.all / 2)
    }

    fn take_above(&self, bytes: u64, least: u64) -> Option<SpareShare<'_>> {
        let mut free = self.free();
        let left = free.checked_sub(bytes).filter(|&left| left >= least)?;
        *free = left;
        Some(SpareShare { memory: self, bytes })
    }

    /// Takes up to `most` times `each` bytes; how many times, and the share.
    pub(super) fn take_some(&self, most: usize, each: u64) -> (usize, SpareShare<'_>) {
        let mut free = self.free();
        let count = most.min(usize::try_from(*free / each.max(1)).unwrap_or(most));
        let bytes = each * count as u64;
        *free -= bytes;
        (count, SpareShare { memory: self, bytes })
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        // Each change is a single step, so a panic elsewhere leaves it sound.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SpareShare<'_> {
    fn drop(&mut self) {
        *self.memory.free() += self.bytes;
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

    #[test]
    fn spare_memory_is_given_as_long_as_there_is_some() {
        let memory = SpareMemory::new(100);
        let (count, first) = memory.take_some(8, 30);
        assert_eq!((count, first.bytes), (3, 90));
        assert_eq!(memory.take_some(8, 30).0, 0);
        let second = memory.take(10);
        assert!(second.is_some() && memory.take(1).is_none());
        drop(first);
        assert!(memory.take_early(41).is_none() && memory.take_early(40).is_some());
        assert_eq!(memory.take_some(2, 30).0, 2);
        drop(second);
        assert_eq!(*memory.free(), 100);
    }
}
