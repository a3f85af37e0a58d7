//! What a matcher finds: literals and matches, and how often each symbol occurs among them.

use super::symbols::{
    DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, FIRST_LENGTH, LENGTH_EXTRA, LITERALS, MIN_MATCH, distance_index,
    length_index,
};

/// A literal, or a match: a length and a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeflateToken(u32);

/// A token as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// One byte.
    Literal(u8),
    /// A match: its length less three, its distance less one.
    Match(u8, u16),
}

impl DeflateToken {
    const MATCH: u32 = 1 << 31;

    /// A byte.
    #[inline]
    pub(super) fn literal(byte: u8) -> Self {
        Self(byte.into())
    }

    /// A match of 3 to 258 bytes, 1 to 32768 bytes back.
    #[inline]
    pub(super) fn matched(length: usize, distance: usize) -> Self {
        debug_assert!(
            (3..=258).contains(&length) && (1..=32768).contains(&distance),
            "{length} bytes, {distance} back"
        );
        Self(Self::MATCH | ((length - MIN_MATCH) as u32) << 16 | (distance - 1) as u32)
    }

    /// Whether it is a match.
    #[inline]
    pub(super) fn is_match(self) -> bool {
        self.0 & Self::MATCH != 0
    }

    /// The bytes that it stands for.
    #[inline]
    pub(super) fn length(self) -> usize {
        match self.step() {
            TokenKind::Literal(_) => 1,
            TokenKind::Match(length, _) => MIN_MATCH + usize::from(length),
        }
    }

    /// Reads the token.
    #[inline]
    pub(super) fn step(self) -> TokenKind {
        if self.is_match() {
            TokenKind::Match((self.0 >> 16) as u8, self.0 as u16)
        } else {
            TokenKind::Literal(self.0 as u8)
        }
    }
}

/// How often each symbol occurs in a block.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Histogram {
    /// No symbol at all.
    pub(super) fn empty() -> Self {
        Self { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }

    /// The symbols of these tokens, without the end of the block.
    pub(super) fn of(tokens: &[DeflateToken]) -> Self {
        let mut histogram = Self::empty();
        for token in tokens {
            match token.step() {
                TokenKind::Literal(byte) => histogram.literals[usize::from(byte)] += 1,
                TokenKind::Match(length, distance) => {
                    histogram.literals[FIRST_LENGTH + length_index(length)] += 1;
                    histogram.distances[distance_index(distance)] += 1;
                }
            }
        }
        histogram
    }

    /// Every byte as a literal.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let mut histogram = Self::empty();
        for &byte in bytes {
            histogram.literals[usize::from(byte)] += 1;
        }
        histogram
    }

    /// Counts the end of the block, once.
    pub(super) fn end(&mut self) {
        self.literals[END_OF_BLOCK] = 1;
    }

    /// Counts each symbol that does not occur once; gives how many of them are literals, lengths or the end.
    pub(super) fn fill(&mut self) -> usize {
        let mut added = 0;
        for count in self.literals.iter_mut().filter(|count| **count == 0) {
            *count = 1;
            added += 1;
        }
        for count in self.distances.iter_mut().filter(|count| **count == 0) {
            *count = 1;
        }
        added
    }

    /// How many literals and length symbols a header names: up to the last that occurs.
    pub(super) fn literals_used(&self) -> usize {
        self.literals.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1)
    }

    /// How many distances a header names. Where none occurs, the first is counted as if it did, since a header without a
    /// distance is one that some decoders refuse.
    pub(super) fn distances_used(&mut self) -> usize {
        let last = self.distances.iter().rposition(|&count| count > 0);
        if last.is_none() {
            self.distances[0] = 1;
        }
        last.map_or(1, |last| last + 1)
    }

    /// The extra bits of all lengths and distances.
    pub(super) fn extra_bits(&self) -> usize {
        let sum = |counts: &[u32], bits: &[u8]| -> usize {
            counts.iter().zip(bits).map(|(&count, &bits)| count as usize * usize::from(bits)).sum()
        };
        sum(&self.literals[FIRST_LENGTH..], &LENGTH_EXTRA) + sum(&self.distances, &DISTANCE_EXTRA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_what_it_was_made_of() {
        assert_eq!(DeflateToken::literal(255).step(), TokenKind::Literal(255));
        for (length, distance) in [(3, 1), (258, 32768), (4, 256)] {
            let step = DeflateToken::matched(length, distance).step();
            assert_eq!(step, TokenKind::Match((length - 3) as u8, (distance - 1) as u16));
        }
    }

    #[test]
    fn a_block_without_a_match_counts_one_distance() {
        let mut histogram = Histogram::of(&[DeflateToken::literal(7)]);
        histogram.end();
        assert_eq!((histogram.literals_used(), histogram.distances_used()), (257, 1));
        assert_eq!(histogram.distances[0], 1);
        assert_eq!(histogram.extra_bits(), 0);
    }

    #[test]
    fn extra_bits_are_those_of_the_symbols() {
        let histogram = Histogram::of(&[DeflateToken::matched(12, 5), DeflateToken::matched(258, 32768)]);
        assert_eq!(histogram.extra_bits(), 1 + 1 + 13);
    }
}
