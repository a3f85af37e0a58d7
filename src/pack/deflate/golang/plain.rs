//! The levels without matches: stored (0) and Huffman only (-2).

use super::blocks;
use crate::bits::BitWriter;
use crate::blocks as form;
use crate::symbols::MAX_STORED;

/// Cuts the input into blocks of 65535 bytes.
#[derive(Debug)]
pub(crate) struct GoPlain {
    pending: Vec<u8>,
    huffman: bool,
}

impl GoPlain {
    /// Level 0, or with `huffman` level -2.
    pub(crate) fn new(huffman: bool) -> Self {
        Self { pending: Vec::with_capacity(MAX_STORED), huffman }
    }

    /// Takes input; a block is written when the byte after it is there.
    pub(crate) fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        while !input.is_empty() {
            if self.pending.len() == MAX_STORED {
                self.flush(bits);
            }
            let (now, later) = input.split_at(input.len().min(MAX_STORED - self.pending.len()));
            self.pending.extend_from_slice(now);
            input = later;
        }
    }

    /// Writes what is pending as a block.
    pub(crate) fn flush(&mut self, bits: &mut BitWriter) {
        match (self.pending.is_empty(), self.huffman) {
            (true, _) => {}
            (false, true) => blocks::huffman(bits, &self.pending),
            (false, false) => form::stored(bits, &self.pending, false),
        }
        self.pending.clear();
    }
}
