//! How an object is cut into parts: a pure function of its size and of what the provider takes.

use std::{fmt, ops::Range};

use super::error::{Error, Result};

/// Bytes of a part where nothing asks for more: several in flight fit into little memory, and one costs little to repeat.
pub const USUAL: u64 = 8 << 20;

/// Part sizes are whole MiB, so that parts begin at multiples of every hash's block.
const STEP: u64 = 1 << 20;

/// What a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLimits {
    /// Parts of one object.
    pub parts: u64,
    /// Bytes of each part but the last, at least.
    pub smallest: u64,
    /// Bytes of each part, at most.
    pub largest: u64,
}

/// An object's size and that of its parts; parts are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    total: u64,
    size: u64,
}

impl Parts {
    /// Cuts `total` bytes into parts of `wish` bytes, or of as many more as it takes to stay within `limits`.
    ///
    /// # Errors
    /// [`Error::Limit`]; `what` is whose size it is.
    pub fn of(total: u64, wish: u64, limits: &PartLimits, what: &dyn fmt::Display) -> Result<Self> {
        let needed = total.div_ceil(limits.parts);
        let size = wish.max(needed).max(limits.smallest).max(1).next_multiple_of(STEP);
        let size = if size > limits.largest && wish > needed { limits.largest / STEP * STEP } else { size };
        if size > limits.largest || size < needed {
            let limit = limits.parts.saturating_mul(limits.largest);
            return Err(Error::Limit { what: what.to_string(), total, limit });
        }
        Ok(Self { total, size })
    }

    /// Bytes of the object.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of each part but the last.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How many there are; none of an empty object.
    pub const fn count(&self) -> u32 {
        // Providers take at most 50,000.
        #[expect(clippy::cast_possible_truncation, reason = "`of` kept it within the provider's limit")]
        let count = self.total.div_ceil(self.size) as u32;
        count
    }

    /// Where part `number` lies in the object.
    pub fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number) * self.size;
        start..(start + self.size).min(self.total)
    }

    /// The part that byte `offset` lies in.
    pub fn at(&self, offset: u64) -> u32 {
        u32::try_from(offset / self.size).unwrap_or(u32::MAX)
    }
}

/// Bytes of a [`PartCheckpoint`]: two hash states. An Azure block id has room for them, a number and a name.
pub const NOTE: usize = 48;

/// A few bytes that a provider keeps with a part until the commit, and gives back to a later run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartCheckpoint(pub [u8; NOTE]);

impl fmt::Debug for PartCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartCheckpoint({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S3: PartLimits = PartLimits { parts: 10_000, smallest: 5 << 20, largest: 5 << 30 };

    #[test]
    fn large_objects_get_larger_parts_and_too_large_ones_are_refused() {
        let of = |total| Parts::of(total, USUAL, &S3, &"x");
        assert_eq!(of(10).unwrap().count(), 1);
        assert_eq!(of(0).unwrap().count(), 0);
        assert_eq!(of(USUAL * 10_000).unwrap().size(), USUAL);
        assert_eq!(of(USUAL * 10_000 + 1).unwrap().size(), USUAL + STEP);
        assert!(of((5 << 30) * 10_000).is_ok());
        assert!(matches!(of((5 << 30) * 10_000 + 1), Err(Error::Limit { .. })));
        let small = PartLimits { parts: 100, smallest: 0, largest: 3 << 20 };
        assert_eq!(Parts::of(1 << 20, USUAL, &small, &"x").unwrap().size(), 3 << 20);
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_without_gap_or_overlap(total in 0u64..1 << 40, wish in 0u64..1 << 28) {
            let parts = Parts::of(total, wish, &S3, &"x").unwrap();
            prop_assert!(u64::from(parts.count()) <= S3.parts);
            if let Some(last) = parts.count().checked_sub(1) {
                prop_assert_eq!(parts.range(0).start, 0);
                prop_assert_eq!(parts.range(last).end, total);
                prop_assert!(!parts.range(last).is_empty());
                prop_assert_eq!(parts.range(last / 2).end.min(total), parts.range(last / 2 + 1).start.min(total));
                prop_assert_eq!(parts.at(total - 1), last);
            }
        }
    }
}
