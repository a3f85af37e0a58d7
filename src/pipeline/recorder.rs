//! Counts the events of a run for the state, and passes them on to the observer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    oci::Digest,
    progress::{Event, Observe, Progress},
};

/// The share of a run that is its moving of bytes; the rest is its end.
const MOVING: u64 = 98;

#[derive(Debug, Default)]
struct Counts {
    bytes: u64,
    present: u64,
    moved: HashMap<Digest, u64>,
    /// What was tried again: repositories come first in it.
    retries: HashMap<String, u64>,
}

/// Counts, and passes on.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    next: Progress,
    counts: Mutex<Counts>,
}

impl Recorder {
    pub(super) fn before(next: Progress) -> Self {
        Self { next, counts: Mutex::default() }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is done, of a hundred.
    pub(super) fn percentage(&self) -> u8 {
        let counts = self.counts();
        let done = (counts.present + counts.moved.values().sum::<u64>()).min(counts.bytes);
        (MOVING * done).checked_div(counts.bytes).and_then(|share| u8::try_from(share).ok()).unwrap_or(0)
    }

    /// Calls that were made again.
    pub(super) fn retries(&self) -> u64 {
        self.counts().retries.values().sum()
    }

    /// Calls to `HOST/REPOSITORY` that were made again.
    pub(super) fn retries_of(&self, repository: &str) -> u64 {
        let of_it = |what: &str| {
            what.strip_prefix(repository)
                .is_some_and(|rest| !rest.starts_with(|c: char| c == '/' || c.is_alphanumeric()))
        };
        self.counts().retries.iter().filter(|(what, _)| of_it(what)).map(|(_, count)| count).sum()
    }
}

impl Observe for Recorder {
    fn observe(&self, event: Event) {
        {
            let mut counts = self.counts();
            match &event {
                Event::Planned { bytes, present, .. } => {
                    (counts.bytes, counts.present) = (*bytes, *present);
                    counts.moved.clear();
                }
                Event::Advanced { blob, bytes } => *counts.moved.entry(*blob).or_default() += bytes,
                Event::Abandoned { blob } => {
                    counts.moved.remove(blob);
                }
                Event::Retried { what, .. } => *counts.retries.entry(what.clone()).or_default() += 1,
                _ => {}
            }
        }
        self.next.tell(event);
    }
}
