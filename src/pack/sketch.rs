//! How alike two contents are, and where, by few numbers: the smallest hashes of what is before their cuts (bottom-k sketch of
//! Broder's resemblance).
//!
//! A content is cut where its own bytes say so (a gear hash), so that what is inserted moves no cut but the next ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Hashes that are kept.
const KEPT: usize = 1024;

/// A cut follows where these bits of the rolling hash are zero: every 4 KiB on average.
const CUT: u64 = 0xfff << 40;

/// The shortest distance of two cuts.
const SHORTEST: u64 = 512;

/// The smallest hashes of a content, in order, each with the place of its cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sketch(Vec<(u64, u64)>);

/// A sketch under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketcher {
    least: BTreeMap<u64, u64>,
    /// A hash of the last 64 bytes: each byte leaves it by being shifted out.
    rolling: u64,
    /// Bytes so far, and where the last cut was.
    length: u64,
    last: u64,
}

/// The constants of the mixing function `SplitMix64` (Steele, Lea and Flood).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number for each byte.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut at = 0;
    while at < 256 {
        gear[at] = mix((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        at += 1;
    }
    gear
};

impl Sketcher {
    /// Takes in the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut rolling = self.rolling;
        for (at, &byte) in (self.length + 1..).zip(bytes) {
            rolling = (rolling << 1).wrapping_add(GEAR[usize::from(byte)]);
            if rolling & CUT == 0 && at - self.last >= SHORTEST {
                self.cut(mix(rolling), at);
            }
        }
        self.rolling = rolling;
        self.length += bytes.len() as u64;
    }

    fn cut(&mut self, hash: u64, at: u64) {
        self.last = at;
        if self.least.len() < KEPT || self.least.last_key_value().is_some_and(|(&last, _)| hash < last) {
            self.least.entry(hash).or_insert(at);
            if self.least.len() > KEPT {
                self.least.pop_last();
            }
        }
    }

    pub(super) fn finish(self) -> Sketch {
        Sketch(self.least.into_iter().collect())
    }
}

impl Sketch {
    /// The hashes, in order.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|&(hash, _)| hash)
    }

    fn place(&self, hash: u64) -> Option<u64> {
        let number = self.0.binary_search_by_key(&hash, |&(hash, _)| hash).ok()?;
        Some(self.0[number].1)
    }

    /// How much of this is in `other` too, in thousandths.
    pub(super) fn shared_with(&self, other: &Self) -> u64 {
        // A full sketch says nothing of hashes above its last one.
        let end = |sketch: &Self| match sketch.0.last() {
            Some(&(last, _)) if sketch.0.len() == KEPT => last,
            _ => u64::MAX,
        };
        let limit = end(self).min(end(other));
        let (mut count, mut shared) = (0_u64, 0_u64);
        for hash in self.hashes().take_while(|&hash| hash <= limit) {
            count += 1;
            shared += u64::from(other.place(hash).is_some());
        }
        (shared * 1000).checked_div(count).unwrap_or(0)
    }

    /// Places in this and in `other` that have the same bytes before them, in the order of this.
    pub(super) fn anchors(&self, other: &Self) -> Vec<(u64, u64)> {
        let shared = self.0.iter().filter_map(|&(hash, own)| Some((own, other.place(hash)?)));
        let mut anchors: Vec<_> = shared.collect();
        anchors.sort_unstable();
        anchors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, size: usize) -> Vec<u8> {
        (0..size as u64 / 8).flat_map(|at| mix(mix(seed) ^ at).to_le_bytes()).collect()
    }

    fn sketch(content: &[u8], piece: usize) -> Sketch {
        let mut sketcher = Sketcher::default();
        content.chunks(piece).for_each(|bytes| sketcher.update(bytes));
        sketcher.finish()
    }

    #[test]
    fn a_sketch_tells_how_much_is_shared_wherever_it_moved() {
        let (first, second) = (noise(1, 400_000), noise(2, 400_000));
        let half = [&noise(3, 200_000)[..], &first[100_001..300_001]].concat();
        let (first, second, half) = (sketch(&first, 999), sketch(&second, 70_000), sketch(&half, 1 << 20));
        assert_eq!(first.shared_with(&first), 1000);
        assert_eq!(first.shared_with(&second), 0);
        assert!((400..=600).contains(&half.shared_with(&first)), "{}", half.shared_with(&first));
        assert_eq!(sketch(&[], 1).shared_with(&first), 0);
        let anchors = half.anchors(&first);
        let moved = anchors.iter().filter(|(own, other)| own + 100_001 == other + 200_000);
        assert!(anchors.len() > 20 && moved.count() == anchors.len(), "{anchors:?}");
    }
}
