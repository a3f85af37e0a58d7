//! How this encoder writes blocks: a dynamic block stays open, so that the next one may go on with its codes.

use super::estimate;
use super::rules::{LiteralCost, ReleaseRules};
use crate::bits::BitWriter;
use crate::blocks as form;
use crate::golang;
use crate::huffman::{BlockCodes, CodeTable, DynamicHeader, MAX_CODE};
use crate::symbols::{DISTANCES, END_OF_BLOCK, FIRST_LENGTH, LITERALS};
use crate::tokens::{DeflateToken, Histogram};

/// What the header of a block of literals is taken to cost before there was one.
const GUESSED_HEADER: usize = 70 * 8;

/// The codes of the block that is open, if one is.
#[derive(Debug)]
pub(super) struct OpenBlock {
    rules: ReleaseRules,
    /// New codes must save their size shifted right by this.
    penalty: u32,
    codes: BlockCodes,
    /// The bits of the header of the open block: its end is still to be written. 0: none is open.
    open: usize,
    /// The last codes were made for literals only, and none of its distances is good.
    literals_only: bool,
    fixed: BlockCodes,
}

impl OpenBlock {
    pub(super) fn new(rules: ReleaseRules, penalty: u32) -> Self {
        let fixed = BlockCodes::fixed();
        Self { rules, penalty, codes: BlockCodes::default(), open: 0, literals_only: false, fixed }
    }

    /// Ends the block that is open.
    pub(super) fn close(&mut self, bits: &mut BitWriter) {
        if std::mem::take(&mut self.open) > 0 {
            form::end(bits, &self.codes);
        }
    }

    /// Writes a stored block.
    pub(super) fn stored(&mut self, bits: &mut BitWriter, input: &[u8]) {
        self.close(bits);
        form::stored(bits, input, false);
    }

    /// Writes tokens in the smallest form, as Go does: no block goes on with the codes of another.
    pub(super) fn apart(&self, bits: &mut BitWriter, tokens: &[DeflateToken], input: Option<&[u8]>) {
        golang::smallest_block(bits, tokens, input, &self.fixed);
    }

    /// Writes tokens as seems smallest: by the codes of the open block, by new ones, by the fixed ones, or stored. `ends`:
    /// a flush follows, so the block is not left open. `input` is what the tokens stand for, where all of it is at hand.
    pub(super) fn dynamic(&mut self, bits: &mut BitWriter, tokens: &[DeflateToken], input: Option<&[u8]>, ends: bool) {
        let mut histogram = Histogram::of(tokens);
        if self.literals_only && self.open > 0 {
            self.close(bits);
            self.literals_only = false;
        }
        if self.rules.filled {
            return self.dynamic_filled(bits, tokens, histogram, input, ends);
        }
        let count = tokens.len() + usize::from(ends);
        if !(self.codes.literals.covers(&histogram.literals) && self.codes.distances.covers(&histogram.distances)) {
            self.close(bits);
        }
        let estimate = if self.open > 0 { estimate::bits(&histogram, count, self.rules.clamped) } else { 0 };
        let full = self.rules.full_headers && !ends;
        let (literals, distances) = if full {
            (LITERALS, DISTANCES)
        } else {
            histogram.end();
            (histogram.literals_used(), histogram.distances_used())
        };
        let stored = input.and_then(|input| form::stored_cost(input).map(|cost| (input, cost)));
        let extra = if stored.is_some() || self.open > 0 { histogram.extra_bits() } else { 0 };
        if self.open > 0 {
            let size = self.weigh_reuse(bits, &histogram, estimate, extra);
            let fixed = if count < self.rules.few { self.fixed_cost(&histogram, extra) + 7 } else { usize::MAX };
            if let Some((input, _)) = stored.filter(|&(_, cost)| cost <= size) {
                return self.stored(bits, input);
            }
            if fixed < size {
                return self.fixed(bits, tokens);
            }
        }
        if self.open == 0 {
            histogram.end();
            let codes = BlockCodes::build(&histogram.literals, &histogram.distances, self.rules.method);
            let header = DynamicHeader::new(&codes, literals, distances, self.rules.method);
            let size = header.cost + codes.cost(&histogram.literals, &histogram.distances) + extra;
            self.codes = codes;
            let fixed = if count < self.rules.few { self.fixed_cost(&histogram, extra) } else { usize::MAX };
            if let Some((input, _)) = stored.filter(|&(_, cost)| cost <= size.min(fixed)) {
                return self.stored(bits, input);
            }
            if fixed <= size {
                return self.fixed(bits, tokens);
            }
            header.write(false, bits);
            self.open = header.cost;
            self.literals_only = false;
        }
        form::tokens(bits, tokens, &self.codes);
        if ends {
            self.close(bits);
        }
    }

    /// As [`OpenBlock::dynamic`], by the rules of older releases: codes have all symbols, so that any block can go on with
    /// them; a block is stored where that costs less than 17/16 of the others; the fixed codes are not tried.
    fn dynamic_filled(
        &mut self,
        bits: &mut BitWriter,
        tokens: &[DeflateToken],
        mut histogram: Histogram,
        input: Option<&[u8]>,
        ends: bool,
    ) {
        let added = if ends { 0 } else { histogram.fill() };
        let estimate = estimate::bits(&histogram, tokens.len() + added, self.rules.clamped);
        histogram.end();
        let (literals, distances) = (histogram.literals_used(), histogram.distances_used());
        let extra = histogram.extra_bits();
        let saves_little =
            |size: usize| input.and_then(form::stored_cost).is_some_and(|stored| stored < size + (size >> 4));
        if self.open > 0 {
            let new = self.open + estimate;
            let new = new + (new >> self.penalty);
            let reuse = self.codes.cost(&histogram.literals, &histogram.distances) + extra;
            if new < reuse {
                self.close(bits);
            }
            if let Some(input) = input.filter(|_| saves_little(new.min(reuse))) {
                return self.stored(bits, input);
            }
        }
        if self.open == 0 {
            let codes = BlockCodes::build(&histogram.literals, &histogram.distances, self.rules.method);
            let header = DynamicHeader::new(&codes, literals, distances, self.rules.method);
            let size = header.cost + codes.cost(&histogram.literals, &histogram.distances) + extra;
            self.codes = codes;
            if let Some(input) = input.filter(|_| saves_little(size)) {
                return self.stored(bits, input);
            }
            header.write(false, bits);
            self.open = header.cost;
            self.literals_only = false;
        }
        form::tokens(bits, tokens, &self.codes);
        if ends {
            self.close(bits);
        }
    }

    /// Compares the open block's codes with the estimate of new ones, and ends the block where those are smaller. The
    /// size is that of the better choice.
    fn weigh_reuse(&mut self, bits: &mut BitWriter, histogram: &Histogram, estimate: usize, extra: usize) -> usize {
        let new = self.open + estimate;
        let new = new + self.end_cost() + (new >> self.penalty);
        let reuse = self.codes.cost(&histogram.literals, &histogram.distances) + extra;
        if new < reuse {
            self.close(bits);
        }
        new.min(reuse)
    }

    fn end_cost(&self) -> usize {
        self.codes.literals.codes[END_OF_BLOCK].length.into()
    }

    fn fixed_cost(&self, histogram: &Histogram, extra: usize) -> usize {
        3 + self.fixed.cost(&histogram.literals, &histogram.distances) + extra
    }

    fn fixed(&mut self, bits: &mut BitWriter, tokens: &[DeflateToken]) {
        self.close(bits);
        form::fixed_header(bits, false);
        form::tokens(bits, tokens, &self.fixed);
        form::end(bits, &self.fixed);
    }

    /// Writes bytes as literals, by the open block's codes or new ones, or stored where that saves little.
    pub(super) fn literals(&mut self, bits: &mut BitWriter, input: &[u8], ends: bool) {
        if self.rules.literal_cost != LiteralCost::Codes {
            return self.literals_by_estimate(bits, input, ends);
        }
        let mut histogram = Histogram::of_bytes(input);
        if input.len() > 1024 && is_even(&histogram.literals[..256], input.len()) {
            return self.stored(bits, input);
        }
        let reuse = if self.codes.literals.covers(&histogram.literals) {
            self.codes.literals.cost(&histogram.literals)
        } else {
            usize::MAX
        };
        histogram.end();
        let literals = CodeTable::build(&histogram.literals, MAX_CODE, self.rules.method);
        let new = literals.cost(&histogram.literals) + if self.open > 0 { self.open } else { GUESSED_HEADER };
        let new = new + (new >> self.penalty);
        if form::stored_cost(input).is_some_and(|stored| stored <= new) {
            return self.stored(bits, input);
        }
        if new < reuse {
            self.close(bits);
        }
        if self.open == 0 {
            self.begin_literals(bits, literals);
        }
        self.continue_literals(bits, input, ends);
    }

    /// As [`OpenBlock::literals`], by the rules of older releases: what new codes cost is estimated before they are made, and those of a
    /// block that stays open have all literals.
    fn literals_by_estimate(&mut self, bits: &mut BitWriter, input: &[u8], ends: bool) {
        let mut histogram = Histogram::of_bytes(input);
        let cost = self.rules.literal_cost;
        let (estimate, added) = estimate::literals(&histogram.literals[..256], cost, !ends);
        let header = if self.open > 0 { self.open } else { GUESSED_HEADER };
        let new = estimate + header + if cost == LiteralCost::Estimate { input.len() / 32 } else { 15 };
        let new = new + (new >> self.penalty);
        if form::stored_cost(input).is_some_and(|stored| stored < new) {
            return self.stored(bits, input);
        }
        let fill = |histogram: &mut Histogram| {
            histogram.literals[..256].iter_mut().filter(|count| **count == 0).for_each(|count| *count = 1);
        };
        if !ends && cost == LiteralCost::OldEstimate {
            fill(&mut histogram);
        }
        if self.open > 0 {
            let new = if cost == LiteralCost::OldEstimate { new + added } else { new };
            if new < self.codes.literals.cost(&histogram.literals) {
                self.close(bits);
            }
        }
        if self.open == 0 {
            if !ends {
                fill(&mut histogram);
            }
            histogram.end();
            self.begin_literals(bits, CodeTable::build(&histogram.literals, MAX_CODE, self.rules.method));
        }
        self.continue_literals(bits, input, ends);
    }

    /// Begins a block of literals only, by these codes.
    fn begin_literals(&mut self, bits: &mut BitWriter, literals: CodeTable<LITERALS>) {
        let mut codes = BlockCodes { literals, distances: CodeTable::default() };
        codes.distances.codes[0].length = 1;
        let header = DynamicHeader::new(&codes, FIRST_LENGTH, 1, self.rules.method);
        header.write(false, bits);
        self.open = header.cost;
        self.literals_only = true;
        self.codes.literals = codes.literals;
    }

    /// Writes bytes by the codes of the open block.
    fn continue_literals(&mut self, bits: &mut BitWriter, input: &[u8], ends: bool) {
        form::literals(bits, input, &self.codes);
        if ends {
            self.close(bits);
            self.literals_only = false;
        }
    }
}

/// True where the bytes are so evenly spread that codes cannot help.
fn is_even(counts: &[u32], length: usize) -> bool {
    let length = u32::try_from(length).map_or(f64::INFINITY, f64::from);
    let (average, limit) = (length / 256.0, length * 2.0);
    let mut sum = 0.0;
    for &count in counts {
        let difference = f64::from(count) - average;
        sum += difference * difference;
        if sum > limit {
            break;
        }
    }
    sum < limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_codes_are_tried_up_to_a_number_of_tokens() {
        // Codes of their own cost these more, by their irregular header.
        let kind = |count: usize| {
            let literal = |index: usize| if index < 144 { index } else { index * 89 % 144 };
            let tokens: Vec<_> = (0..count).map(|index| DeflateToken::literal(literal(index) as u8)).collect();
            let mut bits = BitWriter::default();
            OpenBlock::new(ReleaseRules::v1_18_2(), 7).dynamic(&mut bits, &tokens, None, false);
            bits.complete()[0] & 0b111
        };
        assert_eq!((kind(249), kind(250)), (0b010, 0b100));
    }
}
