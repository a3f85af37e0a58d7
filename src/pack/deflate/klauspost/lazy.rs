//! Levels 7 to 9: chains of earlier places, with a look at the next place and at the end of each match.

use super::blocks::OpenBlock;
use super::rules::{Lazy, ReleaseRules};
use crate::bits::BitWriter;
use crate::bytes::{boxed, common, load32};
use crate::huffman::{CodeTable, MAX_CODE};
use crate::symbols::{DISTANCE_EXTRA, HIGHEST_POSITION, LENGTH_EXTRA, MAX_MATCH, WINDOW, distance_index, length_index};
use crate::tokens::DeflateToken;

/// The shortest match that is looked for.
const SHORTEST: usize = 4;
/// Bytes that must be ahead before a place is looked at, unless the input ends.
const MARGIN: usize = SHORTEST + MAX_MATCH;
const HASH_BITS: u32 = 17;
/// A match of the shortest length may not be farther than this, in older releases.
const FAR: usize = 4096;
/// How many bytes at its beginning a better match may miss.
const MISSED: usize = 2;

/// What a level tries.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// After a match this long the next place is not tried.
    lazy: usize,
    /// The first match of this length ends the search.
    nice: usize,
    /// Places that are tried.
    tries: usize,
    /// Tokens of a block.
    block: usize,
    /// A match is taken only where it saves bits.
    weighs: bool,
    /// After more literals in a row than this, places are not looked at; and how many more literals it takes for one more of them.
    skip: (usize, usize),
}

impl Effort {
    fn of(level: i8, kind: Lazy) -> Self {
        let (lazy, nice, tries) = match (level, kind) {
            (7, Lazy::Plain) => (8, 24, 16),
            (8, Lazy::Plain) => (16, 24, 64),
            (_, Lazy::Plain) => (258, 258, 4096),
            (7, Lazy::Full) => (12, 16, 24),
            (8, Lazy::Full) => (30, 40, 64),
            (_, Lazy::Full) => (258, 258, 1024),
        };
        match kind {
            Lazy::Plain => Self { lazy, nice, tries, block: 1 << 14, weighs: false, skip: (31, 32) },
            Lazy::Full => Self { lazy, nice, tries, block: 1 << 15, weighs: tries > 100, skip: (tries, 64) },
        }
    }
}

/// The encoder of levels 7 to 9.
#[derive(Debug)]
pub(crate) struct LazyEncoder {
    effort: Effort,
    rules: ReleaseRules,
    window: Box<[u8]>,
    /// The window is filled up to here.
    end: usize,
    /// The next place to look at.
    index: usize,
    /// Where the block began; `None` where that has left the window.
    block: Option<usize>,
    /// By hash: a window index plus `offset`; 0 for none.
    last: Box<[u32; 1 << HASH_BITS]>,
    /// By window index modulo the window: the distance to the one before with the same hash, saturated.
    back: Box<[u16; WINDOW]>,
    offset: u32,
    /// The offset is lowered when it is above this.
    highest: u32,
    /// The place before with the hash of the place that is looked at.
    before: u32,
    /// Bits that the window takes as literals, up to each index; for level 9.
    costs: Vec<u32>,
    tokens: Vec<DeflateToken>,
    found: (usize, usize),
    /// The place before is still to be written.
    pending: bool,
    /// Literals since the last match. It wraps.
    literals: u16,
    blocks: OpenBlock,
}

impl LazyEncoder {
    /// An encoder of a level from 7 to 9.
    pub(crate) fn new(rules: ReleaseRules, level: i8) -> Self {
        Self {
            effort: Effort::of(level, rules.lazy),
            rules,
            window: vec![0; 2 * WINDOW].into(),
            end: 0,
            index: 0,
            block: Some(0),
            last: boxed(),
            back: boxed(),
            offset: 1,
            highest: HIGHEST_POSITION,
            before: 0,
            costs: Vec::new(),
            tokens: Vec::with_capacity(1 << 15),
            found: (SHORTEST - 1, 0),
            pending: false,
            literals: 0,
            blocks: OpenBlock::new(rules, 8),
        }
    }

    /// What matches may reach before the first byte. To be called before any input.
    pub(crate) fn prime(&mut self, dictionary: &[u8]) {
        let bytes = &dictionary[dictionary.len().saturating_sub(WINDOW)..];
        self.window[..bytes.len()].copy_from_slice(bytes);
        self.end = bytes.len();
        self.remember_all(0..bytes.len());
        self.index = bytes.len();
        if self.rules.dictionary_apart {
            self.block = Some(self.index);
        }
    }

    /// The tokens of the block under way.
    pub(crate) fn tokens(&self) -> &[DeflateToken] {
        &self.tokens
    }

    /// Takes input. How it is cut makes no difference.
    pub(crate) fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        while !input.is_empty() {
            if self.end == self.window.len() {
                self.advance(false, bits);
            }
            self.slide();
            let (now, later) = input.split_at(input.len().min(self.window.len() - self.end));
            self.window[self.end..self.end + now.len()].copy_from_slice(now);
            self.end += now.len();
            input = later;
        }
    }

    /// Writes all of what was taken, to the end of a block.
    pub(crate) fn flush(&mut self, bits: &mut BitWriter) {
        self.advance(true, bits);
        self.blocks.close(bits);
    }

    fn slide(&mut self) {
        if self.index < 2 * WINDOW - MARGIN {
            return;
        }
        self.window.copy_within(WINDOW.., 0);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.block = self.block.and_then(|start| start.checked_sub(WINDOW));
        self.offset += WINDOW as u32;
        if self.offset > self.highest {
            let lower = self.offset - 1;
            self.last.iter_mut().for_each(|place| *place = place.saturating_sub(lower));
            self.before = self.before.saturating_sub(lower);
            self.offset = 1;
        }
    }

    fn advance(&mut self, all: bool, bits: &mut BitWriter) {
        if self.end - self.index < MARGIN && !all {
            return;
        }
        if self.effort.weighs && self.index < self.end {
            self.weigh();
        }
        while self.index < self.end && (all || self.end - self.index >= MARGIN) {
            self.before = self.remember(self.index).unwrap_or(self.before);
            let (length, distance) = std::mem::replace(&mut self.found, (SHORTEST - 1, 0));
            if length < self.effort.lazy && self.end - self.index > length {
                self.search();
            }
            if length >= SHORTEST && self.found.0 <= length {
                let (length, distance) = match self.rules.lazy {
                    Lazy::Plain => (length, distance),
                    Lazy::Full => self.try_the_end(length, distance, all, bits),
                };
                self.tokens.push(DeflateToken::matched(length, distance));
                let next = self.index + length - 1;
                self.remember_all(self.index + 1..next);
                self.index = next;
                self.pending = false;
                self.found.0 = SHORTEST - 1;
                self.end_full_block(all, bits);
                if self.rules.lazy == Lazy::Full {
                    self.literals = 0;
                }
            } else {
                self.pass(all, bits);
            }
        }
        if all && self.index == self.end {
            if std::mem::take(&mut self.pending) {
                self.tokens.push(DeflateToken::literal(self.window[self.index - 1]));
            }
            if !self.tokens.is_empty() {
                self.end_block(true, bits);
            }
        }
    }

    /// The place before is a literal, unless there is none pending; this one becomes pending. After many literals, some of
    /// the next places are not looked at.
    fn pass(&mut self, all: bool, bits: &mut BitWriter) {
        if self.found.0 >= SHORTEST {
            self.literals = 0;
        }
        if !self.pending {
            self.index += 1;
            self.pending = true;
            return;
        }
        self.literals = self.literals.wrapping_add(1);
        self.push_literal(all, bits);
        self.index += 1;
        let (from, step) = self.effort.skip;
        let Some(excess) = usize::from(self.literals).checked_sub(from).filter(|&excess| excess > 0) else { return };
        let skipped = match self.rules.lazy {
            Lazy::Plain => usize::from(self.literals) / step,
            Lazy::Full => 1 + excess / step,
        };
        for _ in 0..skipped {
            if self.index + 1 >= self.end {
                break;
            }
            self.push_literal(all, bits);
            if self.rules.lazy == Lazy::Full {
                self.before = self.remember(self.index).unwrap_or(self.before);
            }
            self.index += 1;
        }
        self.pending = false;
        self.push_literal(all, bits);
    }

    /// Writes the place before as a literal.
    fn push_literal(&mut self, all: bool, bits: &mut BitWriter) {
        self.tokens.push(DeflateToken::literal(self.window[self.index - 1]));
        self.end_full_block(all, bits);
    }

    /// A match begins at the place before. Looks up the bytes after its end: another match that covers them, though it may
    /// miss up to two bytes, can be longer. What it misses is written as literals.
    fn try_the_end(&mut self, length: usize, distance: usize, all: bool, bits: &mut BitWriter) -> (usize, usize) {
        if self.rules.whole_matches {
            return self.try_the_end_of_whole(length).unwrap_or((length, distance));
        }
        let at = self.index - 1;
        if length >= MAX_MATCH - MISSED || at + length + SHORTEST > self.end {
            return (length, distance);
        }
        let hash = self.hash(at + length);
        let oldest = self.index.saturating_sub(WINDOW);
        let Some(from) =
            self.last[hash].checked_sub(self.offset).and_then(|place| (place as usize).checked_sub(length))
        else {
            return (length, distance);
        };
        if at.wrapping_sub(from) == distance || from <= oldest + MISSED {
            return (length, distance);
        }
        let limit = (self.end - self.index).min(MAX_MATCH + MISSED) - MISSED;
        let longer = common(&self.window, from + MISSED, at + MISSED, limit);
        if longer <= length {
            return (length, distance);
        }
        let mut longer = longer;
        let mut missed = MISSED;
        while missed > 0 && longer < MAX_MATCH && self.window[at + missed - 1] == self.window[from + missed - 1] {
            longer += 1;
            missed -= 1;
        }
        for _ in 0..missed {
            self.push_literal(all, bits);
            self.index += 1;
            self.before = self.remember(self.index).unwrap_or(self.before);
        }
        (longer, at - from)
    }

    /// As [`LazyEncoder::try_the_end`], but the other match must cover all of this one.
    fn try_the_end_of_whole(&self, length: usize) -> Option<(usize, usize)> {
        let at = self.index - 1;
        // Of the four bytes that are looked up, two are of the match.
        if at + length + MISSED + SHORTEST > self.end {
            return None;
        }
        let end = length - MISSED;
        let place = self.last[self.hash(at + end)].checked_sub(self.offset)? as usize;
        let from = place.checked_sub(end)?;
        if from <= self.index.saturating_sub(WINDOW) {
            return None;
        }
        let longer = common(&self.window, from, at, (self.end - self.index).min(MAX_MATCH));
        (longer > length).then(|| (longer, at - from))
    }

    /// Remembers a place if four bytes are ahead; gives the one before it with the same hash, or 0.
    #[inline]
    fn remember(&mut self, index: usize) -> Option<u32> {
        if index + SHORTEST > self.end {
            return None;
        }
        let place = index as u32 + self.offset;
        let hash = self.hash(index);
        let before = std::mem::replace(&mut self.last[hash], place);
        self.back[index % WINDOW] = (place - before).min(u16::MAX.into()) as u16;
        Some(before)
    }

    #[inline]
    fn hash(&self, index: usize) -> usize {
        let bytes = load32(&self.window, index);
        let bytes = if self.rules.lazy == Lazy::Plain { bytes.swap_bytes() } else { bytes };
        (bytes.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
    }

    fn remember_all(&mut self, indices: std::ops::Range<usize>) {
        for index in indices {
            self.remember(index);
        }
    }

    /// Looks for the best match at the place: the longest, or at level 9 each longer one that saves more bits.
    fn search(&mut self) {
        let oldest = self.index.saturating_sub(WINDOW);
        let Some(mut candidate) = self.before.checked_sub(self.offset).map(|place| place as usize) else { return };
        if candidate < oldest {
            return;
        }
        let limit = MAX_MATCH.min(self.end - self.index);
        let nice = self.effort.nice.min(limit);
        let window = &self.window[..self.index + limit];
        let (mut length, mut distance) = self.found;
        let mut gain = self.rules.gain.0;
        for _ in 0..self.effort.tries {
            if window[candidate + length] == window[self.index + length] {
                let now = common(window, candidate, self.index, limit);
                let far = now == SHORTEST && self.index - candidate > FAR;
                let worth = if now <= length || far && self.rules.lazy == Lazy::Plain {
                    false
                } else if self.effort.weighs {
                    let next = self.gain(now, self.index - candidate);
                    let more = next > gain;
                    gain = gain.max(next);
                    more
                } else {
                    true
                };
                if worth {
                    (length, distance) = (now, self.index - candidate);
                    if now >= nice {
                        break;
                    }
                }
            }
            let step = usize::from(self.back[candidate % WINDOW]);
            match candidate.checked_sub(step) {
                Some(next) if next >= oldest && candidate > oldest => candidate = next,
                _ => break,
            }
        }
        self.found = (length, distance);
    }

    /// Computes what the bytes ahead cost as literals, by codes made for the first of them.
    fn weigh(&mut self) {
        let ahead = &self.window[self.index..self.end];
        let mut counts = [0_u32; 256];
        ahead.iter().take(self.rules.weighed).for_each(|&byte| counts[usize::from(byte)] += 1);
        // The original counts in 16 bits.
        for count in &mut counts {
            *count &= 0xffff;
        }
        let table = CodeTable::build(&counts, MAX_CODE, self.rules.method);
        self.costs.resize(2 * WINDOW + 1, 0);
        let mut sum = 0;
        self.costs[self.index] = 0;
        for (cost, &byte) in self.costs[self.index + 1..].iter_mut().zip(ahead) {
            sum += u32::from(table.codes[usize::from(byte)].length).max(self.rules.unknown_cost);
            *cost = sum;
        }
    }

    /// Bits that a match saves.
    fn gain(&self, length: usize, distance: usize) -> i64 {
        let literals = self.costs[self.index + length] - self.costs[self.index];
        // The original takes the symbol of a distance one farther, and of the farthest one that of 129.
        let symbol = if distance == WINDOW { 14 } else { distance_index(distance as u16) };
        let extra = DISTANCE_EXTRA[symbol] + LENGTH_EXTRA[length_index((length - 3) as u8)];
        i64::from(literals) - i64::from(extra) - self.rules.gain.1
    }

    fn end_full_block(&mut self, all: bool, bits: &mut BitWriter) {
        if self.tokens.len() == self.effort.block {
            self.end_block(all, bits);
        }
    }

    fn end_block(&mut self, all: bool, bits: &mut BitWriter) {
        let input = self.block.map(|start| &self.window[start..self.index]);
        match self.rules.lazy {
            Lazy::Plain => self.blocks.apart(bits, &self.tokens, input),
            Lazy::Full => self.blocks.dynamic(bits, &self.tokens, input, all),
        }
        self.block = Some(self.index);
        self.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::mixture;

    #[test]
    fn lowering_the_offset_changes_nothing() {
        let input = mixture(1_000_000);
        for level in 7..=9 {
            let encode = |highest| {
                let (mut lazy, mut bits) = (LazyEncoder::new(ReleaseRules::v1_18_2(), level), BitWriter::default());
                lazy.highest = highest;
                lazy.write(&input, &mut bits);
                lazy.flush(&mut bits);
                bits.complete().to_vec()
            };
            assert!(encode(HIGHEST_POSITION) == encode(100_000), "level {level}");
        }
    }
}
