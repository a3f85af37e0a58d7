//! The estimate of a block's size that decides whether the codes of the block before are used again.
//!
//! It is made in single precision, in one fixed order: another order of the same sums rounds to other sizes.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts below 65536 are exact in single precision, and the sum is positive"
)]

use super::rules::LiteralCost;
use crate::symbols::FIRST_LENGTH;
use crate::tokens::Histogram;

/// Bits of a symbol at least and at most.
const BITS: (f32, f32) = (1.0, 15.0);
/// What releases before did: any number.
const ANY: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// The bits of a block of `count` tokens (the end among them where it is written with the block) by codes of its own,
/// without their header. `clamped`: no symbol has less than one bit, or more than 15.
pub(super) fn bits(histogram: &Histogram, count: usize, clamped: bool) -> usize {
    let limits = if clamped { BITS } else { ANY };
    let mut sum = 0.0_f32;
    let (literals, lengths) = histogram.literals.split_at(FIRST_LENGTH);
    if count > 0 {
        let share = 1.0 / count as f32;
        add(&mut sum, &literals[..256], share, limits);
        // The end of the block, taken at its worst.
        sum += 15.0;
        add(&mut sum, lengths, share, limits);
    }
    let matches: u32 = lengths.iter().sum();
    if matches == 0 {
        return sum as usize;
    }
    add(&mut sum, &histogram.distances, 1.0 / matches as f32, limits);
    sum as usize + histogram.extra_bits()
}

/// The bits of bytes as literals, as releases before v1.12.3 estimate them: those of the bytes, and apart from them those of the
/// literals that do not occur. `added`: these are counted once.
pub(super) fn literals(counts: &[u32], cost: LiteralCost, added: bool) -> (usize, usize) {
    let length: u32 = counts.iter().sum();
    let missing = if added { counts.iter().filter(|&&count| count == 0).count() as u32 } else { 0 };
    // They have a share of their own only where they do not count apart.
    let total = if cost == LiteralCost::Estimate { length + missing } else { length };
    let share = 1.0 / total as f32;
    let (mut sum, mut rest) = (0.0, 0.0);
    let limits = (BITS.0, f32::INFINITY);
    add(&mut sum, counts, share, limits);
    if cost == LiteralCost::OldEstimate {
        (0..missing).for_each(|_| add(&mut rest, &[1], share, limits));
    }
    ((sum + 0.99) as usize, (rest + 0.99) as usize)
}

fn add(sum: &mut f32, counts: &[u32], share: f32, limits: (f32, f32)) {
    for &count in counts.iter().filter(|&&count| count > 0) {
        let count = count as f32;
        *sum += (-log2(count * share)).clamp(limits.0, limits.1) * count;
    }
}

/// The logarithm by the exponent and a parabola over the mantissa.
fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 255) as f32 - 128.0;
    let mantissa = f32::from_bits((bits & 0x807f_ffff).wrapping_add(127 << 23));
    exponent + (((-0.344_848_43_f32) * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}
