//! Counts the bytes and blobs of a run from its events.

use std::{collections::HashMap, time::Duration, time::Instant};

use airlift::{oci::Digest, progress::Event};

/// Bytes and blobs: planned, done, moving.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) done: u64,
    pub(super) blobs: u64,
    pub(super) blobs_done: u64,
    present: u64,
    began: Instant,
    moving: HashMap<Digest, u64>,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: 0, done: 0, blobs: 0, blobs_done: 0, present: 0, began: now, moving: HashMap::new() }
    }

    /// Counts `event`, which happened `now`.
    pub(super) fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Planned { blobs, bytes, present } => {
                *self = Self { bytes: *bytes, blobs: *blobs, done: *present, present: *present, ..Self::new(now) };
            }
            Event::Started { blob, .. } => {
                self.moving.insert(*blob, 0);
            }
            Event::Advanced { blob, bytes } => {
                *self.moving.entry(*blob).or_default() += bytes;
                self.done += bytes;
            }
            Event::Abandoned { blob } => {
                self.done = self.done.saturating_sub(self.moving.remove(blob).unwrap_or(0));
            }
            Event::Finished { blob } => {
                self.moving.remove(blob);
                self.blobs_done += 1;
            }
            _ => {}
        }
    }

    /// Bytes a second since the plan was fixed.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let moved = self.done.saturating_sub(self.present);
        let micros = now.duration_since(self.began).as_micros().max(1);
        u64::try_from(u128::from(moved) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// Time until the end at the rate so far; `None` before the first byte.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let rate = self.rate(now);
        (rate > 0).then(|| Duration::from_secs(self.bytes.saturating_sub(self.done) / rate))
    }

    /// Per cent of the bytes.
    pub(super) fn percent(&self) -> u64 {
        (u128::from(self.done) * 100).checked_div(u128::from(self.bytes)).map_or(100, |p| p.min(100) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_failed_on_the_way_does_not_count_and_what_was_there_has_no_rate() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let [first, second] = [b"1", b"2"].map(|name| Digest::sha256(name));
        for event in [
            Event::Planned { blobs: 3, bytes: 1000, present: 400 },
            Event::Started { blob: first, size: 300 },
            Event::Advanced { blob: first, bytes: 200 },
            Event::Started { blob: second, size: 300 },
            Event::Advanced { blob: second, bytes: 100 },
            Event::Abandoned { blob: first },
        ] {
            tally.take(&event, start);
        }
        let later = start + Duration::from_secs(2);
        assert_eq!((tally.done, tally.percent(), tally.rate(later)), (500, 50, 50));
        assert_eq!(tally.left(later), Some(Duration::from_secs(10)));
        tally.take(&Event::Finished { blob: second }, later);
        assert_eq!(tally.blobs_done, 1);
    }
}
