//! How alike two contents are, by few numbers: the smallest hashes of their chunks (bottom-k sketch of Broder's resemblance).
//!
//! A content is cut where its own bytes say so (a gear hash), so that what is inserted moves no cut but the next ones.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Hashes that are kept.
const KEPT: usize = 1024;

/// A cut follows where these bits of the rolling hash are zero: every 4 KiB on average.
const CUT: u64 = 0xfff << 40;

/// The shortest chunk.
const SHORTEST: u32 = 512;

/// The smallest hashes of a content's chunks, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sketch(Vec<u64>);

/// A sketch under way.
#[derive(Debug, Default)]
pub(super) struct Sketcher {
    least: BTreeSet<u64>,
    rolling: u64,
    hash: u64,
    length: u32,
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
        for &byte in bytes {
            let gear = GEAR[usize::from(byte)];
            self.rolling = (self.rolling << 1).wrapping_add(gear);
            self.hash = (self.hash ^ gear).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            self.length += 1;
            if (self.rolling & CUT == 0 && self.length >= SHORTEST) || self.length == u32::MAX {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        let hash = mix(self.hash ^ u64::from(self.length));
        if self.least.len() < KEPT || self.least.last().is_some_and(|&last| hash < last) {
            self.least.insert(hash);
            if self.least.len() > KEPT {
                self.least.pop_last();
            }
        }
        (self.hash, self.length) = (0, 0);
    }

    pub(super) fn finish(mut self) -> Sketch {
        if self.length > 0 {
            self.cut();
        }
        Sketch(self.least.into_iter().collect())
    }
}

impl Sketch {
    /// The hashes, in order.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.0
    }

    /// How much of this is in `other` too, in thousandths.
    pub(super) fn shared_with(&self, other: &Self) -> u64 {
        // A full sketch says nothing of hashes above its last one.
        let end = |sketch: &Self| if sketch.0.len() < KEPT { u64::MAX } else { sketch.0.last().copied().unwrap_or(0) };
        let limit = end(self).min(end(other));
        let own = self.0.iter().take_while(|&&hash| hash <= limit);
        let (mut count, mut shared) = (0_u64, 0_u64);
        for hash in own {
            count += 1;
            shared += u64::from(other.0.binary_search(hash).is_ok());
        }
        (shared * 1000).checked_div(count).unwrap_or(0)
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
    }
}
