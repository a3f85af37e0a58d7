//! How many blobs move at once: as many as were asked for, and no more than bring the end nearer. Small ones are answers to
//! requests more than content: many more of them move at once, so that a line with a long round trip is not idle.
//!
//! All who move share the wire and the cores alike. Beside the largest blob, more of them than it takes to end together with it
//! take from its share, and then it is alone at the end, with the cores at rest: of 2.3 GB with one blob of 0.7 GB, six at once
//! left a third of that blob to the end. So a blob of some size waits where it will have moved before the largest has, though
//! no more move at once than do already. A wire that gives each connection a share of its own loses nothing by it: there, too,
//! the largest sets the end.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::oci::Digest;

/// Blobs smaller than this cost their round trips, not the wire: they wait for nothing but a free place. In bytes.
const SMALL: u64 = 1 << 20;

/// So many bytes of small blobs move at once beyond the jobs that were asked for.
const SMALL_BYTES: u64 = 8 << 20;

/// Puts `items` of so many bytes in the order in which they are to begin: the largest, which takes longest, then the small ones,
/// which take the places that it leaves, then the others from the largest on. Whatever comes last would be alone at the end.
pub(super) fn order<T>(items: &mut [T], size: impl Fn(&T) -> u64) {
    items.sort_by_key(|item| Reverse(size(item)));
    if let Some((_, others)) = items.split_first_mut() {
        others.sort_by_key(|item| size(item) >= SMALL);
    }
}

/// The blobs that move, and what is left of each. What meters the bytes reports them here.
pub(super) struct Scheduler {
    jobs: usize,
    /// The bound for small ones, of those under way all told.
    small_jobs: usize,
    state: Mutex<SchedulerState>,
}

struct SchedulerState {
    /// Bytes of the blobs that have not begun.
    waiting: u64,
    /// Of each blob that has begun, its size and what is left of it, in bytes.
    under_way: HashMap<Digest, (u64, u64)>,
}

impl Scheduler {
    /// No blob has begun, of which `waiting` bytes are to move; at most `jobs` of them will move at once, and small ones up to `small_jobs`.
    pub(super) fn new(jobs: usize, small_jobs: usize, waiting: u64) -> Arc<Self> {
        let state = Mutex::new(SchedulerState { waiting, under_way: HashMap::new() });
        Arc::new(Self { jobs, small_jobs, state })
    }

    /// Whether `blob` begins now, beside those that have begun.
    pub(super) fn admits(&self, blob: Digest, size: u64) -> bool {
        let mut state = self.state();
        let begins = state.under_way.is_empty()
            || if size < SMALL {
                state.has_place_for_small(self.jobs, self.small_jobs, size)
            } else {
                let has_place = state.under_way.len() < self.jobs.max(self.small_jobs);
                has_place && state.large() < self.jobs && state.gains_by(size)
            };
        if begins {
            state.waiting = state.waiting.saturating_sub(size);
            state.under_way.insert(blob, (size, size));
        }
        begins
    }

    /// How many have begun and not left.
    pub(super) fn running(&self) -> usize {
        self.state().under_way.len()
    }

    /// `bytes` more of `blob` have moved.
    pub(super) fn moved(&self, blob: &Digest, bytes: u64) {
        if let Some((_, left)) = self.state().under_way.get_mut(blob) {
            *left = left.saturating_sub(bytes);
        }
    }

    /// `blob` moves from its first byte again.
    pub(super) fn restarts(&self, blob: &Digest) {
        if let Some((size, left)) = self.state().under_way.get_mut(blob) {
            *left = *size;
        }
    }

    /// `blob` moves no more.
    pub(super) fn leaves(&self, blob: &Digest) {
        self.state().under_way.remove(blob);
    }

    fn state(&self) -> MutexGuard<'_, SchedulerState> {
        // Every change of the state is a single step, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SchedulerState {
    /// Blobs under way that are not small.
    fn large(&self) -> usize {
        self.under_way.values().filter(|(size, _)| *size >= SMALL).count()
    }

    /// Whether a small blob may begin. Beyond `jobs` they are limited by their bytes, too, which are held in memory.
    fn has_place_for_small(&self, jobs: usize, small_jobs: usize, size: u64) -> bool {
        let small = self.under_way.values().filter(|(size, _)| *size < SMALL);
        let held: u64 = small.map(|(size, _)| size).sum();
        let running = self.under_way.len();
        running < jobs || running < small_jobs && held + size <= SMALL_BYTES
    }

    /// Whether a blob of `size` bytes, beside those that are under way, brings the end nearer.
    fn gains_by(&self, size: u64) -> bool {
        // Of what has moved as a whole, the other side makes an end; it takes no share.
        let large = self.under_way.values().filter(|(size, left)| *size >= SMALL && *left > 0);
        let (count, longest) = large.fold((0_u64, size), |(count, longest), (_, left)| (count + 1, longest.max(*left)));
        let others =
            (self.waiting + self.under_way.values().map(|(_, left)| left).sum::<u64>()).saturating_sub(longest);
        // Places beside the largest. A worker that takes the next free one, in whatever order, ends no later than an even share
        // of all and one of them more (Graham's bound for list scheduling).
        match count.saturating_sub(1) {
            0 => true,
            places => others / places + size > longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Descriptor;

    const MB: u64 = 1_000_000;

    /// Blobs of so many megabytes.
    fn blobs(sizes: &[u64]) -> Vec<Descriptor> {
        let blob = |(at, size): (usize, &u64)| Descriptor::new("a/b", Digest::sha256(&at.to_le_bytes()), size * MB);
        sizes.iter().enumerate().map(blob).collect()
    }

    fn scheduler(jobs: usize, small_jobs: usize, blobs: &[Descriptor]) -> Arc<Scheduler> {
        Scheduler::new(jobs, small_jobs, blobs.iter().map(|blob| blob.size).sum())
    }

    /// How many of `blobs` begin, from the first on.
    fn begun(scheduler: &Scheduler, blobs: &[Descriptor]) -> usize {
        blobs.iter().take_while(|blob| scheduler.admits(blob.digest, blob.size)).count()
    }

    #[test]
    fn beside_one_that_is_half_of_all_two_others_move_at_a_time() {
        let blobs = blobs(&[500, 100, 100, 100, 100, 100]);
        let scheduler = scheduler(6, 6, &blobs);
        assert_eq!(begun(&scheduler, &blobs), 3);
        // The second has ended; of the first as much has moved.
        scheduler.moved(&blobs[0].digest, 100 * MB);
        scheduler.leaves(&blobs[1].digest);
        assert_eq!(begun(&scheduler, &blobs[3..]), 1);
        // The large one is far ahead now, and holds no other blob back.
        scheduler.moved(&blobs[0].digest, 380 * MB);
        assert_eq!(begun(&scheduler, &blobs[4..]), 2);
    }

    #[test]
    fn who_would_end_after_the_largest_does_not_wait() {
        // Three places beside the largest are enough for all bytes, but not for five blobs of that size.
        let blobs = blobs(&[100, 60, 60, 60, 60, 60]);
        assert_eq!(begun(&scheduler(6, 6, &blobs), &blobs), 6);
    }

    #[test]
    fn as_many_as_were_asked_for_where_no_blob_stands_out() {
        let blobs = blobs(&[100; 20]);
        assert_eq!(begun(&scheduler(6, 6, &blobs), &blobs), 6);
        assert_eq!(begun(&scheduler(1, 1, &blobs), &blobs), 1);
        assert_eq!(begun(&scheduler(6, 6, &blobs[..2]), &blobs[..2]), 2);
    }

    #[test]
    fn the_largest_goes_first_and_then_the_small_ones() {
        let mut sizes = [7, SMALL, 1, 5 * SMALL, 9 * SMALL, 3];
        order(&mut sizes, |size| *size);
        assert_eq!(sizes, [9 * SMALL, 7, 3, 1, 5 * SMALL, SMALL]);
    }

    #[test]
    fn small_blobs_wait_for_nothing_but_a_place() {
        let mut blobs = blobs(&[5000, 0, 0, 0, 0, 0, 0]);
        for small in &mut blobs[1..] {
            small.size = SMALL - 1;
        }
        assert_eq!(begun(&scheduler(6, 6, &blobs), &blobs), 6);
    }

    #[test]
    fn beyond_the_jobs_as_many_small_ones_move_as_their_bytes_allow() {
        let of_size = |size| {
            let blob = |at: u32| Descriptor::new("a/b", Digest::sha256(&at.to_le_bytes()), size);
            (0..100).map(blob).collect::<Vec<_>>()
        };
        for (size, at_once) in [(1_000, 40), (SMALL / 2, 16), (SMALL - 1, 8), (SMALL, 6)] {
            let blobs = of_size(size);
            assert_eq!(begun(&scheduler(6, 40, &blobs), &blobs), at_once, "of {size} bytes");
        }
        // Those that are not small have their jobs beside them, within the bound of all.
        let (small, large) = (of_size(1_000), blobs(&[200; 10]));
        let scheduler = scheduler(6, 40, &[&small[..], &large[..]].concat());
        assert_eq!((begun(&scheduler, &small[..36]), begun(&scheduler, &large)), (36, 4));
    }

    #[test]
    fn who_waits_for_an_answer_alone_holds_back_nobody() {
        let blobs = blobs(&[500, 400, 10]);
        for (moved, begins) in [(0, false), (400, true)] {
            let scheduler = scheduler(6, 6, &blobs);
            assert_eq!(begun(&scheduler, &blobs[..2]), 2);
            scheduler.moved(&blobs[1].digest, moved * MB);
            assert_eq!(scheduler.admits(blobs[2].digest, blobs[2].size), begins);
        }
    }

    #[test]
    fn what_was_abandoned_is_before_it_again() {
        let blobs = blobs(&[500, 100, 100, 100]);
        let scheduler = scheduler(6, 6, &blobs);
        assert!(scheduler.admits(blobs[0].digest, blobs[0].size));
        scheduler.moved(&blobs[0].digest, 450 * MB);
        scheduler.restarts(&blobs[0].digest);
        assert_eq!(begun(&scheduler, &blobs[1..]), 1);
    }
}
