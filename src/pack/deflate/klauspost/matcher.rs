//! What levels 1 to 6 have in common: find a match, widen it, write it, find the next.

use super::history::Text;
use crate::tokens::DeflateToken;

/// The longest match of a token, and what is left over at least for the next.
const LONGEST: usize = 258;
const SHORTEST: usize = 3;

/// A match, as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundMatch {
    /// Where it begins.
    pub(super) at: usize,
    /// Where its bytes are.
    pub(super) from: usize,
    /// Its length.
    pub(super) length: usize,
    /// The place that would have been tried next.
    pub(super) next: usize,
}

/// What follows a match.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Look for the next match from here on.
    Search(usize),
    /// Another match begins at once.
    Match(FoundMatch),
    /// The block ends here.
    End,
}

/// The tables of a level.
pub(super) trait Matcher: std::fmt::Debug {
    /// A new block begins.
    fn begin(&mut self) {}

    /// Looks for a match from `at` on. The farther `literals`, where the last match ended, the larger the steps.
    fn find(&mut self, text: Text<'_>, at: usize, literals: usize) -> Option<FoundMatch>;

    /// Remembers places within a match that was written. `end` is where it ends, or the place after the last one that was
    /// remembered, where that is farther.
    fn follow(&mut self, text: Text<'_>, written: FoundMatch, end: usize) -> Next;

    /// Lowers all positions.
    fn lower(&mut self, by: u32);
}

/// Appends the tokens of the block that begins at `start`; none at all where there is no match.
pub(super) fn tokenize(
    matcher: &mut impl Matcher,
    text: Text<'_>,
    start: usize,
    cut: MatchCut,
    tokens: &mut Vec<DeflateToken>,
) {
    matcher.begin();
    let mut literals = start;
    let mut next = Next::Search(start);
    loop {
        let mut found = match next {
            Next::Search(at) => match matcher.find(text, at, literals) {
                Some(found) => found,
                None => break,
            },
            Next::Match(found) => found,
            Next::End => break,
        };
        while found.from > 0 && found.at > literals && text.bytes[found.from - 1] == text.bytes[found.at - 1] {
            found = FoundMatch { at: found.at - 1, from: found.from - 1, length: found.length + 1, ..found };
        }
        tokens.extend(text.bytes[literals..found.at].iter().map(|&byte| DeflateToken::literal(byte)));
        push_match(tokens, found.length, found.at - found.from, cut);
        literals = found.at + found.length;
        let end = if found.next >= literals { found.next + 1 } else { literals };
        next = matcher.follow(text, found, end);
    }
    if !tokens.is_empty() {
        tokens.extend(text.bytes[literals..].iter().map(|&byte| DeflateToken::literal(byte)));
    }
}

/// How a match is cut that is too long for one token, so that at least three bytes are left over for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchCut {
    /// At 258 bytes, or at 255 where fewer than three would be left.
    Late,
    /// At 255 bytes.
    Early,
}

fn push_match(tokens: &mut Vec<DeflateToken>, mut length: usize, distance: usize, cut: MatchCut) {
    while length > 0 {
        let now = match length {
            ..=LONGEST => length,
            _ if cut == MatchCut::Late && length > LONGEST + SHORTEST => LONGEST,
            _ => LONGEST - SHORTEST,
        };
        tokens.push(DeflateToken::matched(now, distance));
        length -= now;
    }
}

/// A hash of the lowest four bytes.
#[inline]
pub(super) fn hash4(value: u64, bits: u32) -> usize {
    ((value as u32).wrapping_mul(2_654_435_761) >> (32 - bits)) as usize
}

/// A hash of the lowest four bytes, in the manner of Snappy.
#[inline]
pub(super) fn snappy_hash(value: u64, bits: u32) -> usize {
    ((value as u32).wrapping_mul(0x1e35_a7bd) >> (32 - bits)) as usize
}

/// A hash of the lowest five bytes.
#[inline]
pub(super) fn hash5(value: u64, bits: u32) -> usize {
    ((value << 24).wrapping_mul(889_523_592_379) >> (64 - bits)) as usize
}

/// A hash of the lowest seven bytes.
#[inline]
pub(super) fn hash7(value: u64, bits: u32) -> usize {
    ((value << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - bits)) as usize
}

/// One position for each hash.
#[derive(Debug)]
pub(super) struct Latest(Box<[u32]>);

impl Latest {
    pub(super) fn new(bits: u32) -> Self {
        Self(vec![0; 1 << bits].into())
    }

    #[inline]
    pub(super) fn get(&self, hash: usize) -> u32 {
        self.0[hash]
    }

    #[inline]
    pub(super) fn set(&mut self, hash: usize, position: u32) {
        self.0[hash] = position;
    }

    /// Puts a position; gives the one before.
    #[inline]
    pub(super) fn replace(&mut self, hash: usize, position: u32) -> u32 {
        std::mem::replace(&mut self.0[hash], position)
    }

    pub(super) fn lower(&mut self, by: u32) {
        self.0.iter_mut().for_each(|position| *position = position.saturating_sub(by));
    }
}

/// The last two positions for each hash.
#[derive(Debug)]
pub(super) struct LatestTwo(Box<[[u32; 2]]>);

impl LatestTwo {
    pub(super) fn new(bits: u32) -> Self {
        Self(vec![[0; 2]; 1 << bits].into())
    }

    /// The last position and the one before.
    #[inline]
    pub(super) fn get(&self, hash: usize) -> [u32; 2] {
        self.0[hash]
    }

    /// Puts a position before the others; gives those before.
    #[inline]
    pub(super) fn push(&mut self, hash: usize, position: u32) -> [u32; 2] {
        let slot = &mut self.0[hash];
        std::mem::replace(slot, [position, slot[0]])
    }

    pub(super) fn lower(&mut self, by: u32) {
        self.0.iter_mut().flatten().for_each(|position| *position = position.saturating_sub(by));
    }
}
