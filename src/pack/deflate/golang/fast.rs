//! Level 1: one earlier place for each hash of four bytes, in the manner of Snappy.

use super::blocks;
use crate::bits::BitWriter;
use crate::blocks as form;
use crate::bytes::{common, load32, load64};
use crate::symbols::{HIGHEST_POSITION, MAX_MATCH, MAX_STORED, WINDOW};
use crate::tokens::DeflateToken;

const TABLE_BITS: u32 = 14;
/// The last bytes of a block, at which no match begins.
const MARGIN: usize = 15;

/// A place and the four bytes there.
#[derive(Debug, Clone, Copy, Default)]
struct SeenBytes {
    value: u32,
    position: u32,
}

/// The encoder of level 1.
#[derive(Debug)]
pub(crate) struct GoFast {
    table: Box<[SeenBytes]>,
    /// The block before, then the one that is filled.
    history: Vec<u8>,
    /// Where the block begins in `history`.
    start: usize,
    /// The position, in the entries' sense, of the beginning of the block.
    current: u32,
    /// Positions are lowered when they reach this.
    highest: u32,
    tokens: Vec<DeflateToken>,
}

fn slot(value: u32) -> usize {
    (value.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize
}

impl GoFast {
    /// A new encoder.
    pub(crate) fn new() -> Self {
        Self {
            table: vec![SeenBytes::default(); 1 << TABLE_BITS].into(),
            history: Vec::with_capacity(2 * MAX_STORED),
            start: 0,
            current: MAX_STORED as u32,
            highest: HIGHEST_POSITION,
            tokens: Vec::with_capacity(MAX_STORED),
        }
    }

    /// Takes input. Blocks have 65535 bytes however it is cut.
    pub(crate) fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        while !input.is_empty() {
            if self.history.len() - self.start == MAX_STORED {
                self.block(bits);
            }
            let (now, later) = input.split_at(input.len().min(MAX_STORED - (self.history.len() - self.start)));
            self.history.extend_from_slice(now);
            input = later;
        }
    }

    /// Writes what is pending. Few bytes are written without a look for matches, and end what matches may reach.
    pub(crate) fn flush(&mut self, bits: &mut BitWriter) {
        let pending = &self.history[self.start..];
        match pending.len() {
            0 => {}
            1..=16 => {
                form::stored(bits, pending, false);
                self.forget();
            }
            17..=127 => {
                blocks::huffman(bits, pending);
                self.forget();
            }
            _ => self.block(bits),
        }
    }

    fn forget(&mut self) {
        self.history.clear();
        self.start = 0;
        self.current += WINDOW as u32;
    }

    fn block(&mut self, bits: &mut BitWriter) {
        self.rebase();
        self.tokens.clear();
        self.tokenize();
        let block = &self.history[self.start..];
        if self.tokens.len() > block.len() - (block.len() >> 4) {
            blocks::huffman(bits, block);
        } else {
            blocks::dynamic(bits, &self.tokens, block);
        }
        let length = block.len();
        self.history.drain(..self.start);
        self.start = length;
        self.current += length as u32;
    }

    fn rebase(&mut self) {
        if self.current < self.highest {
            return;
        }
        // What is out of reach becomes 0, and 0 stays out of reach.
        let lower = self.current - (WINDOW as u32 + 1);
        self.table.iter_mut().for_each(|entry| entry.position = entry.position.saturating_sub(lower));
        self.current -= lower;
    }

    /// Puts a place into the table; gives the distance to the one that was there if it has the same bytes and is in reach.
    #[inline]
    fn exchange(&mut self, at: usize, value: u32) -> Option<usize> {
        let position = self.current + (at - self.start) as u32;
        let before = std::mem::replace(&mut self.table[slot(value)], SeenBytes { value, position });
        let distance = (position - before.position) as usize;
        (distance <= WINDOW && before.value == value).then_some(distance)
    }

    fn tokenize(&mut self) {
        let end = self.history.len();
        let limit = end - MARGIN;
        let mut written = self.start;
        let mut at = self.start;
        'block: loop {
            // From 32 places without a match on, every second place is tried, then every third, and so on.
            let mut skip = 32;
            let mut distance = loop {
                let next = at + (skip >> 5);
                skip += skip >> 5;
                if next > limit {
                    break 'block;
                }
                if let Some(distance) = self.exchange(at, load32(&self.history, at)) {
                    break distance;
                }
                at = next;
            };
            self.tokens.extend(self.history[written..at].iter().map(|&byte| DeflateToken::literal(byte)));
            loop {
                // After a flush the table may know a place whose bytes are gone: four of them are known to match.
                let longest = if distance <= at { MAX_MATCH.min(end - at) } else { 0 };
                let length = common(&self.history, at.saturating_sub(distance), at, longest).max(4);
                self.tokens.push(DeflateToken::matched(length, distance));
                at += length;
                written = at;
                if at >= limit {
                    break 'block;
                }
                let bytes = load64(&self.history, at - 1);
                self.exchange(at - 1, bytes as u32);
                match self.exchange(at, (bytes >> 8) as u32) {
                    Some(again) => distance = again,
                    None => break,
                }
            }
            at += 1;
        }
        self.tokens.extend(self.history[written..].iter().map(|&byte| DeflateToken::literal(byte)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::mixture;

    fn encode(pieces: &[&[u8]], highest: u32) -> Vec<u8> {
        let (mut fast, mut bits) = (GoFast::new(), BitWriter::default());
        fast.highest = highest;
        for piece in pieces {
            fast.write(piece, &mut bits);
            fast.flush(&mut bits);
        }
        bits.complete().to_vec()
    }

    #[test]
    fn lowering_positions_changes_nothing() {
        let input = mixture(1_000_000);
        assert!(encode(&[&input], HIGHEST_POSITION) == encode(&[&input], 200_000));
    }

    #[test]
    fn a_place_whose_bytes_are_gone_since_a_flush_gives_four_bytes() {
        // The second block reaches back into the first, which only the table remembers after two flushes.
        let input = mixture(30_000);
        let (first, second) = (&input[..20_000], &input[20_000..20_200]);
        let bytes = encode(&[first, second, first], HIGHEST_POSITION);
        assert!(bytes.len() < 3 * first.len());
    }
}
