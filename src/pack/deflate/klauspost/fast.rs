//! Levels 1 to 6: blocks of 65535 bytes.

use super::blocks::OpenBlock;
use super::history::{History, Text};
use super::matcher::{MatchCut, Matcher, tokenize};
use super::one_table::{Dense, Sparse};
use super::rules::ReleaseRules;
use super::three_tables::Thorough;
use super::two_tables::ShortAndLong;
use crate::bits::BitWriter;
use crate::symbols::{MAX_STORED, WINDOW};
use crate::tokens::DeflateToken;

/// Blocks below this are only put into the history.
const SHORTEST: usize = 13;
/// Blocks below this are too small to tell much.
const SMALL: usize = 128;

#[derive(Debug)]
enum Tables {
    Sparse(Sparse),
    Dense(Dense),
    ShortAndLong(ShortAndLong),
    Thorough(Thorough),
}

impl Tables {
    fn tokenize(&mut self, text: Text<'_>, start: usize, cut: MatchCut, tokens: &mut Vec<DeflateToken>) {
        match self {
            Self::Sparse(tables) => tokenize(tables, text, start, cut, tokens),
            Self::Dense(tables) => tokenize(tables, text, start, cut, tokens),
            Self::ShortAndLong(tables) => tokenize(tables, text, start, cut, tokens),
            Self::Thorough(tables) => tokenize(tables, text, start, cut, tokens),
        }
    }

    fn lower(&mut self, by: u32) {
        match self {
            Self::Sparse(tables) => tables.lower(by),
            Self::Dense(tables) => tables.lower(by),
            Self::ShortAndLong(tables) => tables.lower(by),
            Self::Thorough(tables) => tables.lower(by),
        }
    }
}

/// The encoder of levels 1 to 6.
#[derive(Debug)]
pub(crate) struct FastEncoder {
    rules: ReleaseRules,
    tables: Tables,
    cut: MatchCut,
    history: History,
    blocks: OpenBlock,
    pending: Vec<u8>,
    tokens: Vec<DeflateToken>,
}

impl FastEncoder {
    /// An encoder of a level from 1 to 6; others are taken as 5.
    pub(crate) fn new(rules: ReleaseRules, level: i8) -> Self {
        let tables = match level {
            1 => Tables::Sparse(Sparse::level1(rules.four_bytes)),
            2 => Tables::Sparse(Sparse::level2(rules.four_bytes)),
            3 => Tables::Dense(Dense::level3(rules.dense)),
            4 => Tables::ShortAndLong(ShortAndLong::level4(rules.slips)),
            6 => Tables::Thorough(Thorough::level6(rules.missed)),
            _ => Tables::Thorough(Thorough::level5(rules.missed)),
        };
        Self {
            rules,
            tables,
            cut: if rules.short_cuts { MatchCut::Early } else { MatchCut::Late },
            history: History::new(),
            blocks: OpenBlock::new(rules, rules.penalty),
            pending: Vec::with_capacity(MAX_STORED),
            tokens: Vec::with_capacity(MAX_STORED),
        }
    }

    /// What matches may reach before the first byte. To be called before any input.
    pub(crate) fn prime(&mut self, dictionary: &[u8]) {
        let block = &dictionary[dictionary.len().saturating_sub(WINDOW)..];
        tokenize_block(&mut self.tables, &mut self.history, block, self.cut, &mut self.tokens);
    }

    /// Takes input; a block is written when the byte after it is there.
    pub(crate) fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        while !input.is_empty() {
            if self.pending.len() == MAX_STORED {
                self.block(bits, false);
            }
            let (now, later) = input.split_at(input.len().min(MAX_STORED - self.pending.len()));
            self.pending.extend_from_slice(now);
            input = later;
        }
    }

    /// Writes what is pending, to the end of a block. `last`: the stream ends here.
    pub(crate) fn flush(&mut self, last: bool, bits: &mut BitWriter) {
        let length = self.pending.len();
        let as_is = length < SMALL && (!self.rules.small_blocks || (last && self.history.is_empty()));
        if length > 0 && as_is {
            if length <= 32 {
                self.blocks.stored(bits, &self.pending);
            } else {
                self.blocks.literals(bits, &self.pending, true);
            }
            self.history.forget();
            self.pending.clear();
        } else if length > 0 {
            self.block(bits, true);
        }
        self.blocks.close(bits);
    }

    fn block(&mut self, bits: &mut BitWriter, ends: bool) {
        let block = &self.pending;
        tokenize_block(&mut self.tables, &mut self.history, block, self.cut, &mut self.tokens);
        let found = !self.tokens.is_empty();
        if block.len() < SHORTEST || (!found && block.len() >= SMALL) {
            self.blocks.stored(bits, block);
        } else if !found || self.tokens.len() > block.len() - (block.len() >> 4) {
            self.blocks.literals(bits, block, ends);
        } else {
            self.blocks.dynamic(bits, &self.tokens, Some(block), ends);
        }
        self.pending.clear();
    }
}

/// Appends a block to the history, and finds its tokens.
fn tokenize_block(
    tables: &mut Tables,
    history: &mut History,
    block: &[u8],
    cut: MatchCut,
    tokens: &mut Vec<DeflateToken>,
) {
    tokens.clear();
    let (start, lowered) = history.push(block);
    if let Some(by) = lowered {
        tables.lower(by);
    }
    if block.len() >= SHORTEST {
        tables.tokenize(history.text(), start, cut, tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::HIGHEST_POSITION;
    use crate::test_data::mixture;

    #[test]
    fn lowering_positions_changes_nothing() {
        let input = mixture(1_000_000);
        for level in 1..=6 {
            let encode = |highest| {
                let (mut fast, mut bits) = (FastEncoder::new(ReleaseRules::v1_18_2(), level), BitWriter::default());
                fast.history.highest = highest;
                fast.write(&input, &mut bits);
                fast.flush(true, &mut bits);
                bits.complete().to_vec()
            };
            assert!(encode(HIGHEST_POSITION) == encode(100_000), "level {level}");
        }
    }
}
