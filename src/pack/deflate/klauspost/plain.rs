//! Huffman only (-2) and stored (0).

use super::blocks::OpenBlock;
use super::rules::ReleaseRules;
use crate::bits::BitWriter;
use crate::symbols::MAX_STORED;

/// Cuts the input into blocks.
#[derive(Debug)]
pub(crate) struct PlainEncoder {
    pending: Vec<u8>,
    size: usize,
    huffman: bool,
    blocks: OpenBlock,
}

impl PlainEncoder {
    /// Level 0, or with `huffman` level -2.
    pub(crate) fn new(rules: ReleaseRules, huffman: bool) -> Self {
        let (penalty, size) = if huffman { rules.plain } else { (0, MAX_STORED) };
        Self { pending: Vec::with_capacity(size), size, huffman, blocks: OpenBlock::new(rules, penalty) }
    }

    /// Takes input; a block is written when the byte after it is there.
    pub(crate) fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        while !input.is_empty() {
            if self.pending.len() == self.size {
                self.block(bits, false);
            }
            let (now, later) = input.split_at(input.len().min(self.size - self.pending.len()));
            self.pending.extend_from_slice(now);
            input = later;
        }
    }

    /// Writes what is pending, to the end of a block.
    pub(crate) fn flush(&mut self, bits: &mut BitWriter) {
        self.block(bits, true);
        self.blocks.close(bits);
    }

    fn block(&mut self, bits: &mut BitWriter, ends: bool) {
        match (self.pending.is_empty(), self.huffman) {
            (true, _) => {}
            (false, true) => self.blocks.literals(bits, &self.pending, ends),
            (false, false) => self.blocks.stored(bits, &self.pending),
        }
        self.pending.clear();
    }
}
