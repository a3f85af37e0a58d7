//! How Go's encoder chooses between stored, fixed and dynamic blocks.

use crate::bits::BitWriter;
use crate::blocks;
use crate::huffman::{BlockCodes, DynamicHeader, Method};
use crate::tokens::{DeflateToken, Histogram};

/// Writes a block in its smallest form: stored where that is smaller than both others, dynamic where that is smaller than
/// fixed. `input` is what the tokens stand for, where the window still has all of it.
pub(crate) fn smallest(bits: &mut BitWriter, tokens: &[DeflateToken], input: Option<&[u8]>, fixed: &BlockCodes) {
    let mut histogram = Histogram::of(tokens);
    histogram.end();
    let (codes, header) = dynamic_codes(&mut histogram);
    let stored = input.and_then(|input| blocks::stored_cost(input).map(|cost| (input, cost)));
    // The same in both Huffman forms, so it decides only against a stored block.
    let extra = if stored.is_some() { histogram.extra_bits() } else { 0 };
    let fixed_cost = 3 + fixed.cost(&histogram.literals, &histogram.distances) + extra;
    let dynamic_cost = header.cost + codes.cost(&histogram.literals, &histogram.distances) + extra;
    match stored {
        Some((input, cost)) if cost < fixed_cost.min(dynamic_cost) => blocks::stored(bits, input, false),
        _ if dynamic_cost < fixed_cost => {
            header.write(false, bits);
            blocks::tokens(bits, tokens, &codes);
            blocks::end(bits, &codes);
        }
        _ => {
            blocks::fixed_header(bits, false);
            blocks::tokens(bits, tokens, fixed);
            blocks::end(bits, fixed);
        }
    }
}

/// Writes a dynamic block, or a stored one where the dynamic one does not save a sixteenth. Extra bits do not count.
pub(super) fn dynamic(bits: &mut BitWriter, tokens: &[DeflateToken], input: &[u8]) {
    let mut histogram = Histogram::of(tokens);
    histogram.end();
    let (codes, header) = dynamic_codes(&mut histogram);
    let cost = header.cost + codes.cost(&histogram.literals, &histogram.distances);
    if saves_little(input, cost) {
        return blocks::stored(bits, input, false);
    }
    header.write(false, bits);
    blocks::tokens(bits, tokens, &codes);
    blocks::end(bits, &codes);
}

/// Writes a dynamic block of literals only, or a stored one where that does not save a sixteenth.
pub(super) fn huffman(bits: &mut BitWriter, input: &[u8]) {
    let mut histogram = Histogram::of_bytes(input);
    histogram.end();
    let (codes, header) = dynamic_codes(&mut histogram);
    let cost = header.cost + codes.cost(&histogram.literals, &histogram.distances);
    if saves_little(input, cost) {
        return blocks::stored(bits, input, false);
    }
    header.write(false, bits);
    blocks::literals(bits, input, &codes);
    blocks::end(bits, &codes);
}

fn saves_little(input: &[u8], cost: usize) -> bool {
    blocks::stored_cost(input).is_some_and(|stored| stored < cost + (cost >> 4))
}

fn dynamic_codes(histogram: &mut Histogram) -> (BlockCodes, DynamicHeader) {
    let (literals, distances) = (histogram.literals_used(), histogram.distances_used());
    let codes = BlockCodes::build(&histogram.literals, &histogram.distances, Method::Packages);
    let header = DynamicHeader::new(&codes, literals, distances, Method::Packages);
    (codes, header)
}
