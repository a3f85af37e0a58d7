//! How zlib chooses the form of a block, and spells its codes.

use super::tree;
use crate::bits::BitWriter;
use crate::blocks as form;
use crate::huffman::{BlockCodes, DynamicHeader, HuffmanCode, MAX_CODE, MAX_LENGTH_CODE, count_runs};
use crate::symbols::MAX_STORED;
use crate::tokens::{DeflateToken, Histogram};

/// Writes a block in its smallest form, by whole bytes: stored where that is no larger, fixed where that is no larger than
/// dynamic. `input` is what the tokens stand for, where the window still has all of it.
pub(super) fn smallest(
    bits: &mut BitWriter,
    tokens: &[DeflateToken],
    input: Option<&[u8]>,
    last: bool,
    fixed: &BlockCodes,
) {
    let mut histogram = Histogram::of(tokens);
    histogram.end();
    let (literals, literals_used) = tree::build(&histogram.literals, MAX_CODE);
    let (distances, distances_used) = tree::build(&histogram.distances, MAX_CODE);
    let codes = BlockCodes { literals, distances };
    let mut runs = Vec::new();
    push_runs(&mut runs, &codes.literals.codes[..literals_used]);
    push_runs(&mut runs, &codes.distances.codes[..distances_used]);
    let (lengths, _) = tree::build(&count_runs(&runs), MAX_LENGTH_CODE);
    let header = DynamicHeader::with_runs(literals_used, distances_used, runs, lengths);
    let extra = histogram.extra_bits();
    let bytes = |cost: usize| (cost + extra).div_ceil(8);
    let dynamic_bytes = bytes(header.cost + codes.cost(&histogram.literals, &histogram.distances));
    let fixed_bytes = bytes(3 + fixed.cost(&histogram.literals, &histogram.distances));
    match input {
        Some(input) if input.len() <= MAX_STORED && input.len() + 4 <= dynamic_bytes.min(fixed_bytes) => {
            form::stored(bits, input, last);
        }
        _ if fixed_bytes <= dynamic_bytes => {
            form::fixed_header(bits, last);
            form::tokens(bits, tokens, fixed);
            form::end(bits, fixed);
        }
        _ => {
            header.write(last, bits);
            form::tokens(bits, tokens, &codes);
            form::end(bits, &codes);
        }
    }
}

/// Spells code lengths as runs. A run of zeros has at most 138; of another length at most 6, or 7 with the length itself
/// where that was not just written; shorter ones than 3, or 4 with the length itself, are written out.
fn push_runs(runs: &mut Vec<(u8, u8, u8)>, codes: &[HuffmanCode]) {
    let mut before = None;
    for run in codes.chunk_by(|a, b| a.length == b.length) {
        let (length, mut left) = (run[0].length as u8, run.len());
        while left > 0 {
            let fresh = before != Some(length);
            let (least, most) = match (length, fresh) {
                (0, _) => (3, 138),
                (_, true) => (4, 7),
                (_, false) => (3, 6),
            };
            let now = left.min(most);
            left -= now;
            if now < least {
                runs.extend(std::iter::repeat_n((length, 0, 0), now));
            } else if length == 0 {
                runs.push(if now <= 10 { (17, (now - 3) as u8, 3) } else { (18, (now - 11) as u8, 7) });
            } else {
                if fresh {
                    runs.push((length, 0, 0));
                }
                runs.push((16, (now - usize::from(fresh) - 3) as u8, 2));
            }
            before = Some(length);
        }
    }
}
