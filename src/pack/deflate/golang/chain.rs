//! Levels 2 to 9: chains of earlier places with the same hash of four bytes.

use std::ops::Range;

use super::blocks;
use super::places::{ChainPlaces, LONG, SHORTEST, SearchEffort};
use crate::bits::{BitPosition, BitWriter};
use crate::huffman::BlockCodes;
use crate::symbols::{MAX_MATCH, WINDOW};
use crate::tokens::DeflateToken;

/// Tokens of a block.
const BLOCK: usize = 1 << 14;
/// Bytes that must be ahead before a place is looked at, unless the input ends.
const MARGIN: usize = SHORTEST + MAX_MATCH;

/// What a level tries.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// `None`: a match is taken at once. Otherwise the next place is tried first, unless the match is this long.
    lazy: Option<usize>,
    search: SearchEffort,
    /// Without laziness: the places inside longer matches are not remembered.
    remembered: usize,
}

impl Effort {
    fn of(level: i8) -> Self {
        let (lazy, nice, tries, remembered) = match level {
            2 => (None, 16, 8, 5),
            3 => (None, 32, 32, 6),
            4 => (Some(4), 16, 16, 0),
            5 => (Some(16), 32, 32, 0),
            7 => (Some(32), 128, 256, 0),
            8 => (Some(128), 258, 1024, 0),
            9 => (Some(258), 258, 4096, 0),
            _ => (Some(16), 128, 128, 0),
        };
        Self { lazy, search: SearchEffort { nice, tries }, remembered }
    }
}

/// The encoder of levels 2 to 9.
#[derive(Debug)]
pub(crate) struct GoChain {
    effort: Effort,
    window: Box<[u8]>,
    /// The window is filled up to here.
    end: usize,
    /// The next place to look at.
    index: usize,
    /// Where the block began; `None` where that has left the window.
    block: Option<usize>,
    places: ChainPlaces,
    tokens: Vec<DeflateToken>,
    /// The match found at the place before, and whether that place is still to be written.
    found: (usize, usize),
    pending: bool,
    fixed: BlockCodes,
    /// The input's offset of the window's first byte.
    base: u64,
    /// Places that were not remembered yet when the encoder was resumed, since the bytes behind them were not there.
    forgotten: Range<usize>,
    /// The state at the last end of a block, where it is asked for.
    mark: Option<ChainMark>,
}

/// The state at the end of a block, from which the encoder can be resumed, given the bytes of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainMark {
    /// The offset of the next place to look at.
    pub(crate) offset: u64,
    /// How many bytes before it the window begins.
    pub(crate) reach: u32,
    /// The match at the place before: its length and its distance. Length 3: none.
    pub(crate) found: (u16, u16),
    /// The place before is still to be written.
    pub(crate) pending: bool,
    /// Where the next block begins in the output.
    pub(crate) position: BitPosition,
}

impl ChainMark {
    /// The state where a block begins behind a match that ends at `offset`, if the window is not about to move there.
    pub(crate) fn between_tokens(offset: u64, position: BitPosition) -> Option<Self> {
        let (window, margin) = (WINDOW as u64, MARGIN as u64);
        // It moves by its half as soon as fewer bytes are ahead in it than the margin.
        let base = offset.saturating_sub(window - margin + 1) / window * window;
        let reach = (offset - base) as u32;
        let mark = Self { offset, reach, found: (SHORTEST as u16 - 1, 0), pending: false, position };
        mark.is_sound().then_some(mark)
    }

    /// True where the members fit together, so that an encoder can be resumed.
    pub(crate) fn is_sound(&self) -> bool {
        let (length, distance) = (usize::from(self.found.0), usize::from(self.found.1));
        let matched =
            length == SHORTEST - 1 || ((SHORTEST..=MAX_MATCH).contains(&length) && (1..=WINDOW).contains(&distance));
        let reach = self.reach as usize;
        let inside =
            reach < 2 * WINDOW - MARGIN && (u64::from(self.reach) <= self.offset) && reach >= usize::from(self.pending);
        matched && inside && (self.pending || length < SHORTEST)
    }
}

impl GoChain {
    /// An encoder of a level from 2 to 9; others are taken as 6.
    pub(crate) fn new(level: i8) -> Self {
        Self {
            effort: Effort::of(level),
            window: vec![0; 2 * WINDOW].into(),
            end: 0,
            index: 0,
            block: Some(0),
            places: ChainPlaces::new(),
            tokens: Vec::with_capacity(BLOCK),
            found: (SHORTEST - 1, 0),
            pending: false,
            fixed: BlockCodes::fixed(),
            base: 0,
            forgotten: 0..0,
            mark: None,
        }
    }

    /// The encoder as it was at a mark; `window` is the input from `reach` bytes before the mark up to it. `None`: the level
    /// cannot be resumed, or the bytes and the mark do not fit together.
    pub(crate) fn resume(level: i8, mark: &ChainMark, window: &[u8]) -> Option<Self> {
        let mut chain = Self::new(level);
        if chain.effort.lazy.is_none() || !mark.is_sound() || window.len() != mark.reach as usize {
            return None;
        }
        let index = window.len();
        chain.window[..index].copy_from_slice(window);
        (chain.index, chain.end) = (index, index);
        chain.block = Some(index - usize::from(mark.pending));
        chain.base = mark.offset - u64::from(mark.reach);
        chain.found = (mark.found.0.into(), mark.found.1.into());
        chain.pending = mark.pending;
        let known = index.saturating_sub(LONG - 1);
        chain.remember_all(0..known);
        chain.forgotten = known..index;
        Some(chain)
    }

    /// The state at the end of a block since the last call, if a block ended and the level can be resumed.
    pub(crate) fn take_mark(&mut self) -> Option<ChainMark> {
        self.mark.take()
    }

    /// The tokens of the block under way.
    pub(crate) fn tokens(&self) -> &[DeflateToken] {
        &self.tokens
    }

    /// Takes input. How it is cut makes no difference here. (To the original it does, in one place in 32768 at the most: see
    /// `docs/encoders.md`.)
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
    }

    fn slide(&mut self) {
        if self.index < 2 * WINDOW - MARGIN {
            return;
        }
        self.window.copy_within(WINDOW.., 0);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.block = self.block.and_then(|start| start.checked_sub(WINDOW));
        self.base += WINDOW as u64;
        self.places.slide();
    }

    fn advance(&mut self, all: bool, bits: &mut BitWriter) {
        let forgotten = std::mem::take(&mut self.forgotten);
        self.remember_all(forgotten);
        match self.effort.lazy {
            Some(lazy) => self.lazily(lazy, all, bits),
            None => self.at_once(all, bits),
        }
    }

    /// The level looks at one more place before it takes a match.
    fn lazily(&mut self, lazy: usize, all: bool, bits: &mut BitWriter) {
        while self.index < self.end && (all || self.end - self.index >= MARGIN) {
            if self.tokens.is_empty() {
                self.set_mark(bits);
            }
            let is_remembered = self.remember(self.index);
            let (length, distance) = std::mem::replace(&mut self.found, (SHORTEST - 1, 0));
            if is_remembered && length < lazy && self.end - self.index > length {
                self.search();
            }
            if length >= SHORTEST && self.found.0 <= length {
                self.tokens.push(DeflateToken::matched(length, distance));
                // This place is remembered, and so is the one before, where the match begins.
                let next = self.index + length - 1;
                self.remember_all(self.index + 1..next);
                self.index = next;
                self.pending = false;
                self.found.0 = SHORTEST - 1;
                self.end_full_block(bits);
            } else {
                if self.pending {
                    self.tokens.push(DeflateToken::literal(self.window[self.index - 1]));
                    self.end_full_block(bits);
                }
                self.index += 1;
                self.pending = true;
            }
        }
        if all && self.index == self.end {
            if std::mem::take(&mut self.pending) {
                self.tokens.push(DeflateToken::literal(self.window[self.index - 1]));
            }
            self.end_block(bits);
        }
    }

    /// The level takes each match as it finds it.
    fn at_once(&mut self, all: bool, bits: &mut BitWriter) {
        while self.index < self.end && (all || self.end - self.index >= MARGIN) {
            self.found = (SHORTEST - 1, 0);
            if self.remember(self.index) {
                self.search();
            }
            let (length, distance) = self.found;
            if length >= SHORTEST {
                self.tokens.push(DeflateToken::matched(length, distance));
                let next = self.index + length;
                if length <= self.effort.remembered {
                    self.remember_all(self.index + 1..next);
                }
                self.index = next;
            } else {
                self.tokens.push(DeflateToken::literal(self.window[self.index]));
                self.index += 1;
            }
            self.end_full_block(bits);
        }
        if all {
            self.end_block(bits);
        }
    }

    /// Remembers a place if four bytes are ahead; `false` if they are not.
    #[inline]
    fn remember(&mut self, index: usize) -> bool {
        let is_ahead = index + SHORTEST <= self.end;
        if is_ahead {
            self.places.remember(&self.window[..self.end], index);
        }
        is_ahead
    }

    fn remember_all(&mut self, indices: Range<usize>) {
        self.places.remember_all(&self.window[..self.end], indices);
    }

    /// Looks for the longest match at the place.
    #[inline]
    fn search(&mut self) {
        let found = self.places.search(&self.window[..self.end], self.index, self.effort.search);
        self.found = found.unwrap_or(self.found);
    }

    /// Keeps the state at the beginning of a block. Near the end of the window none is kept: there the window is about to move.
    fn set_mark(&mut self, bits: &BitWriter) {
        let mark = ChainMark {
            offset: self.base + self.index as u64,
            reach: self.index as u32,
            found: (self.found.0 as u16, self.found.1 as u16),
            pending: self.pending,
            position: bits.position(),
        };
        if self.index < 2 * WINDOW - MARGIN {
            self.mark = Some(mark);
        }
    }

    fn end_full_block(&mut self, bits: &mut BitWriter) {
        if self.tokens.len() == BLOCK {
            self.end_block(bits);
        }
    }

    fn end_block(&mut self, bits: &mut BitWriter) {
        if self.tokens.is_empty() {
            return;
        }
        let input = self.block.map(|start| &self.window[start..self.index]);
        blocks::smallest(bits, &self.tokens, input, &self.fixed);
        self.block = Some(self.index);
        self.tokens.clear();
    }
}
