//! The estimate of a block's size that decides whether the codes of the block before are used again.
//!
//! It is made in single precision, in one fixed order: another order of the same sums rounds to other sizes.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts below 65536 are exact in single precision, and the sum is positive"
)]

use crate::symbols::FIRST_LENGTH;
use crate::tokens::Histogram;

/// Bits of a symbol at least and at most.
const BITS: (f32, f32) = (1.0, 15.0);

/// The bits of a block of `count` tokens (the end among them where it is written with the block) by codes of its own,
/// without their header.
pub(super) fn bits(histogram: &Histogram, count: usize) -> usize {
    let mut sum = 0.0_f32;
    let (literals, lengths) = histogram.literals.split_at(FIRST_LENGTH);
    if count > 0 {
        let share = 1.0 / count as f32;
        add(&mut sum, &literals[..256], share);
        // The end of the block, taken at its worst.
        sum += 15.0;
        add(&mut sum, lengths, share);
    }
    let matches: u32 = lengths.iter().sum();
    if matches == 0 {
        return sum as usize;
    }
    add(&mut sum, &histogram.distances, 1.0 / matches as f32);
    sum as usize + histogram.extra_bits()
}

fn add(sum: &mut f32, counts: &[u32], share: f32) {
    for &count in counts.iter().filter(|&&count| count > 0) {
        let count = count as f32;
        *sum += (-log2(count * share)).clamp(BITS.0, BITS.1) * count;
    }
}

/// The logarithm by the exponent and a parabola over the mantissa.
fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 255) as f32 - 128.0;
    let mantissa = f32::from_bits((bits & 0x807f_ffff).wrapping_add(127 << 23));
    exponent + (((-0.344_848_43_f32) * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}
