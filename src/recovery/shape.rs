//! How protected bytes are cut into blocks and groups: a pure function of the files' lengths and the percentage.

use std::{fmt, str::FromStr};

/// Bytes of which every block is a multiple: the unit in which the code mixes symbols.
pub const UNIT: u64 = 64;

/// Fewest bytes of a block: its checksum should cost little beside it.
const SMALLEST_BLOCK: u64 = 1 << 10;

/// Most bytes of a block while there are few enough of them: one flipped bit costs one block.
const COMMON_BLOCK: u64 = 64 << 10;

/// Blocks that small content is cut into, so that a thousand flipped bits meet a small part of them.
const FINE_BLOCKS: u64 = 1 << 14;

/// Most blocks, so that the table of their checksums stays small beside the memory of a run.
pub const MOST_BLOCKS: u64 = 1 << 20;

/// Points of the code that one group takes: data blocks, and recovery blocks rounded up to a power of two. Many points
/// bear scattered damage better; with few, each read from a medium is longer.
const POINTS: u64 = 1024;

/// Points that the code has: the elements of GF(2^16).
pub const MOST_POINTS: u64 = 1 << 16;

/// How much recovery data: 1 to 100 per cent of what is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// `None` outside of 1 to 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent >= 1 && percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// This part of `whole`, rounded up.
    pub(super) const fn of(self, whole: u64) -> u64 {
        whole.saturating_mul(self.0 as u64).div_ceil(100)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A text that is not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a whole number from 1 to 100 is wanted, such as 10 or 10%")]
pub struct NoPercent;

impl FromStr for Percent {
    type Err = NoPercent;

    fn from_str(text: &str) -> Result<Self, NoPercent> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        digits.parse().ok().and_then(Self::new).ok_or(NoPercent)
    }
}

/// The measures of a set. Protected block `g` belongs to group `g % groups`, and so does recovery block `g`: neighbours on
/// a medium are in different groups, and each group loses the same part of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a block, a multiple of [`UNIT`].
    pub block: u64,
    /// Groups.
    pub groups: u64,
    /// Protected blocks of a group; those behind the last real one count as zeros.
    pub data: u64,
    /// Recovery blocks of a group.
    pub recovery: u64,
}

impl Shape {
    /// The measures for files of `lengths` bytes.
    ///
    /// With so many files that one of them is no more than `percent` of all, there is enough to rebuild the largest.
    pub fn of(lengths: &[u64], percent: Percent) -> Self {
        let total = lengths.iter().fold(0_u64, |sum, length| sum.saturating_add(*length)).max(1);
        let fine = total.div_ceil(FINE_BLOCKS).next_multiple_of(UNIT).clamp(SMALLEST_BLOCK, COMMON_BLOCK);
        // Every file ends in a block of its own, so the files count against the blocks.
        let coarse = total.div_ceil(MOST_BLOCKS.saturating_sub(lengths.len() as u64).max(1)).next_multiple_of(UNIT);
        let block = fine.max(coarse);
        let blocks: u64 = lengths.iter().map(|length| length.div_ceil(block)).sum::<u64>().max(1);
        let groups = blocks.div_ceil(most_data(percent));
        let data = blocks.div_ceil(groups);
        let mut recovery = percent.of(data).max(1);
        if lengths.len() as u64 * u64::from(percent.get()) >= 100 {
            let largest = lengths.iter().map(|length| length.div_ceil(block)).max().unwrap_or(0);
            recovery = recovery.max(largest.div_ceil(groups));
        }
        Self { block, groups, data, recovery }
    }

    /// Bytes of a row: the stretch of the protected bytes that has one block in each group.
    pub const fn row(&self) -> u64 {
        self.block * self.groups
    }

    /// Recovery blocks of the whole set.
    pub const fn recovery_blocks(&self) -> u64 {
        self.recovery * self.groups
    }

    /// Rows of working memory that encoding takes, and decoding, which takes at least as many.
    pub(super) const fn working_rows(&self) -> u64 {
        (self.recovery.next_power_of_two() + self.data).next_power_of_two()
    }
}

/// Most protected blocks of a group, so that group and recovery fit into [`POINTS`].
fn most_data(percent: Percent) -> u64 {
    (1..POINTS).rev().find(|data| data + percent.of(*data).next_power_of_two() <= POINTS).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_block_has_its_group_and_the_share_is_kept(
            lengths in proptest::collection::vec(0_u64..1 << 44, 1..40), percent in 1_u8..=100,
        ) {
            let shape = Shape::of(&lengths, Percent::new(percent).unwrap());
            let blocks: u64 = lengths.iter().map(|length| length.div_ceil(shape.block)).sum::<u64>().max(1);
            prop_assert!(shape.block.is_multiple_of(UNIT) && blocks <= MOST_BLOCKS);
            prop_assert_eq!(shape.data, blocks.div_ceil(shape.groups));
            prop_assert!(shape.recovery * 100 >= shape.data * u64::from(percent));
            prop_assert!(shape.recovery.next_power_of_two() + shape.data <= MOST_POINTS);
        }

        #[test]
        fn a_tenth_rebuilds_any_one_of_ten_files(
            lengths in proptest::collection::vec(1_u64..1 << 40, 10..40),
        ) {
            let shape = Shape::of(&lengths, Percent::new(10).unwrap());
            let largest = lengths.iter().max().unwrap().div_ceil(shape.block);
            prop_assert!(largest.div_ceil(shape.groups) <= shape.recovery);
        }
    }

    #[test]
    fn a_percentage_is_a_number_with_or_without_its_sign() {
        assert_eq!("10%".parse(), Ok(Percent(10)));
        assert_eq!("100".parse(), Ok(Percent(100)));
        for text in ["0", "101", "", "%", "-1", "5.5", "1e1", "10%%"] {
            assert_eq!(text.parse::<Percent>(), Err(NoPercent), "{text}");
        }
    }
}
