//! zlib's matcher: chains of earlier places with the same hash of three bytes. GNU gzip has the same one, with other block ends.

use super::blocks;
use super::ends::{BlockEnds, GNU_BLOCK};
use crate::bits::BitWriter;
use crate::bytes::{boxed, common};
use crate::huffman::BlockCodes;
use crate::symbols::{MAX_MATCH, MIN_MATCH, WINDOW};
use crate::tokens::DeflateToken;

/// Tokens of a block of zlib.
const BLOCK: usize = (1 << 14) - 1;
/// Bytes that must be ahead before a place is looked at, unless the input ends.
const MARGIN: usize = MAX_MATCH + MIN_MATCH + 1;
/// The farthest match.
const REACH: usize = WINDOW - MARGIN;
/// A match of three bytes only is not worth it farther back than this.
const FAR: usize = 4096;
const HASH_BITS: u32 = 15;

/// What a level tries.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// With a match this long in hand, only a quarter of the places is tried.
    good: usize,
    /// With a match this long in hand, the next place is not tried. Without laziness: places within longer matches are not
    /// remembered.
    lazy: usize,
    /// The first match of this length ends the search.
    nice: usize,
    /// Places that are tried.
    tries: usize,
}

impl Effort {
    fn of(level: i8) -> Self {
        let (good, lazy, nice, tries) = match level {
            1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            9 => (32, 258, 258, 4096),
            _ => (8, 16, 128, 128),
        };
        Self { good, lazy, nice, tries }
    }
}

/// The encoder of levels 1 to 9.
#[derive(Debug)]
pub(crate) struct ZlibEncoder {
    effort: Effort,
    is_lazy: bool,
    /// GNU gzip's rules instead of zlib's.
    is_gnu: bool,
    window: Box<[u8]>,
    /// The window is filled up to here.
    end: usize,
    /// The next place to look at.
    index: usize,
    /// Where the block began; negative where that has left the window.
    block: isize,
    /// The last places before a flush, which are remembered once input follows.
    late: usize,
    /// By hash: the last index with it. 0 is none: the first place of a window is never found.
    last: Box<[u16; 1 << HASH_BITS]>,
    /// By index modulo the window: the one before with the same hash.
    before: Box<[u16; WINDOW]>,
    tokens: Vec<DeflateToken>,
    ends: BlockEnds,
    /// The match at the place before, and whether that place is still to be written.
    found: (usize, usize),
    pending: bool,
    fixed: BlockCodes,
}

impl ZlibEncoder {
    /// zlib's encoder of a level from 1 to 9; others are taken as 6.
    pub(crate) fn new(level: i8) -> Self {
        Self::with(level, false)
    }

    /// GNU gzip's encoder.
    pub(crate) fn gnu(level: i8) -> Self {
        Self::with(level, true)
    }

    fn with(level: i8, is_gnu: bool) -> Self {
        let ends = if is_gnu { BlockEnds::gnu(level) } else { BlockEnds::full(BLOCK) };
        Self {
            effort: Effort::of(level),
            is_lazy: !(1..=3).contains(&level),
            is_gnu,
            window: vec![0; 2 * WINDOW].into(),
            end: 0,
            index: 0,
            block: 0,
            late: 0,
            last: boxed(),
            before: boxed(),
            tokens: Vec::with_capacity(if is_gnu { GNU_BLOCK } else { BLOCK }),
            ends,
            found: (MIN_MATCH - 1, 0),
            pending: false,
            fixed: BlockCodes::fixed(),
        }
    }

    /// Takes a dictionary of at most a window, which matches may reach, before any input.
    pub(crate) fn prime(&mut self, dictionary: &[u8]) {
        self.window[..dictionary.len()].copy_from_slice(dictionary);
        (self.end, self.index) = (dictionary.len(), dictionary.len());
        for index in 0..dictionary.len().saturating_sub(MIN_MATCH - 1) {
            self.remember(index);
        }
        self.block = self.index as isize;
        self.late = self.index.min(MIN_MATCH - 1);
    }

    /// Begins another stream. Chains need no clearing: they are entered by the table only.
    pub(crate) fn reset(&mut self) {
        self.last.fill(0);
        self.tokens.clear();
        self.ends.begin();
        (self.end, self.index, self.block, self.late) = (0, 0, 0, 0);
        (self.found, self.pending) = ((MIN_MATCH - 1, 0), false);
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

    /// Writes all of what was taken, to the end of a block. `last`: the block is marked as the last one, be it empty.
    pub(crate) fn flush(&mut self, last: bool, bits: &mut BitWriter) {
        if self.is_gnu {
            self.advance(false, bits);
            self.slide();
            // Behind the input come two zeros, and then what the window had there before.
            let zeros = self.window.len().min(self.end + MIN_MATCH - 1);
            self.window[self.end..zeros].fill(0);
        }
        self.advance(true, bits);
        if last || !self.tokens.is_empty() {
            self.end_block(last, bits);
        }
        self.late = self.index.min(MIN_MATCH - 1);
        if last {
            bits.align();
        }
    }

    fn slide(&mut self) {
        if self.index < WINDOW + REACH {
            return;
        }
        self.window.copy_within(WINDOW.., 0);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.block -= WINDOW as isize;
        for place in self.last.iter_mut().chain(self.before.iter_mut()) {
            *place = place.saturating_sub(WINDOW as u16);
        }
    }

    fn advance(&mut self, all: bool, bits: &mut BitWriter) {
        while self.late > 0 && self.index - self.late + MIN_MATCH <= self.end {
            self.remember(self.index - self.late);
            self.late -= 1;
        }
        while self.index < self.end && (all || self.end - self.index >= MARGIN) {
            if self.is_lazy {
                self.lazily(bits);
            } else {
                self.at_once(bits);
            }
        }
        if all && std::mem::take(&mut self.pending) {
            self.push(DeflateToken::literal(self.window[self.index - 1]));
        }
    }

    /// Looks at one more place before a match is taken.
    fn lazily(&mut self, bits: &mut BitWriter) {
        let candidate = self.remember(self.index);
        let (length, distance) = std::mem::replace(&mut self.found, (MIN_MATCH - 1, 0));
        if length < self.effort.lazy {
            self.found = self.search(candidate, length).unwrap_or((MIN_MATCH - 1, 0));
            if self.found.0 == MIN_MATCH && self.found.1 > FAR {
                self.found.0 = MIN_MATCH - 1;
            }
        }
        if length >= MIN_MATCH && self.found.0 <= length {
            let full = self.push(DeflateToken::matched(length, distance));
            let next = self.index + length - 1;
            for index in self.index + 1..next {
                self.remember(index);
            }
            self.index = next;
            self.pending = false;
            self.found.0 = MIN_MATCH - 1;
            self.end_full_block(full, bits);
        } else {
            if std::mem::replace(&mut self.pending, true) {
                let full = self.push(DeflateToken::literal(self.window[self.index - 1]));
                self.end_full_block(full, bits);
            }
            self.index += 1;
        }
    }

    /// Takes each match as it is found.
    fn at_once(&mut self, bits: &mut BitWriter) {
        let candidate = self.remember(self.index);
        let full;
        if let Some((length, distance)) = self.search(candidate, MIN_MATCH - 1) {
            full = self.push(DeflateToken::matched(length, distance));
            let next = self.index + length;
            if length <= self.effort.lazy && self.end - next >= MIN_MATCH {
                for index in self.index + 1..next {
                    self.remember(index);
                }
            }
            self.index = next;
        } else {
            full = self.push(DeflateToken::literal(self.window[self.index]));
            self.index += 1;
        }
        self.end_full_block(full, bits);
    }

    /// Remembers a place if three bytes are ahead; gives the one before with the same hash, or 0.
    #[inline]
    fn remember(&mut self, index: usize) -> usize {
        if index + MIN_MATCH > self.end {
            return 0;
        }
        let bytes = &self.window[index..index + MIN_MATCH];
        let (a, b, c) = (usize::from(bytes[0]), usize::from(bytes[1]), usize::from(bytes[2]));
        let hash = (a << 10 ^ b << 5 ^ c) & ((1 << HASH_BITS) - 1);
        let before = std::mem::replace(&mut self.last[hash], index as u16);
        self.before[index % WINDOW] = before;
        before.into()
    }

    /// Looks for the longest match at the place that is longer than what is in hand.
    #[inline]
    fn search(&self, mut candidate: usize, in_hand: usize) -> Option<(usize, usize)> {
        let ahead = self.end - self.index;
        // GNU gzip compares beyond the end, and cuts what it found.
        let limit = if self.is_gnu { MAX_MATCH } else { MAX_MATCH.min(ahead) };
        let too_late = self.is_gnu && self.index > 2 * WINDOW - MARGIN;
        if candidate == 0 || self.index - candidate > REACH || in_hand >= limit || too_late {
            return None;
        }
        let oldest = self.index.saturating_sub(REACH);
        let nice = self.effort.nice.min(limit);
        let tries = if in_hand >= self.effort.good { self.effort.tries >> 2 } else { self.effort.tries };
        let window = &self.window[..self.index + limit];
        let (mut best, mut length) = (None, in_hand);
        for _ in 0..tries {
            // A longer match has these two bytes, too: most candidates fail here.
            if window[candidate + length - 1..=candidate + length]
                == window[self.index + length - 1..=self.index + length]
            {
                let now = common(window, candidate, self.index, limit);
                if now > length {
                    (best, length) = (Some((now, self.index - candidate)), now);
                    if now >= nice {
                        break;
                    }
                }
            }
            candidate = self.before[candidate % WINDOW].into();
            if candidate <= oldest {
                break;
            }
        }
        best.map(|(length, distance)| (length.min(ahead), distance)).filter(|&(length, _)| length > in_hand)
    }

    /// Keeps a token; true if the block ends with it. The place is still that from which the token was found.
    #[inline]
    fn push(&mut self, token: DeflateToken) -> bool {
        self.tokens.push(token);
        self.ends.count(token, self.tokens.len(), self.index as isize - self.block)
    }

    #[inline]
    fn end_full_block(&mut self, full: bool, bits: &mut BitWriter) {
        if full {
            self.end_block(false, bits);
        }
    }

    fn end_block(&mut self, last: bool, bits: &mut BitWriter) {
        let input = usize::try_from(self.block).ok().map(|start| &self.window[start..self.index]);
        blocks::smallest(bits, &self.tokens, input, last, &self.fixed);
        self.block = self.index as isize;
        self.tokens.clear();
        self.ends.begin();
    }
}
