//! Where a block ends: with a number of tokens, or earlier, where GNU gzip guesses that it pays.

use crate::symbols::{DISTANCE_EXTRA, distance_index};
use crate::tokens::{DeflateToken, TokenKind};

/// Tokens of a block of GNU gzip.
pub(super) const GNU_BLOCK: usize = (1 << 15) - 1;
/// After so many tokens GNU gzip guesses.
const GUESS: usize = 1 << 12;

/// What is counted of the tokens of a block.
#[derive(Debug)]
pub(super) struct BlockEnds {
    /// A block has no more tokens.
    most: usize,
    guesses: bool,
    matches: usize,
    /// What distances take if each had a code of 5 bits.
    distance_bits: usize,
}

impl BlockEnds {
    /// Blocks of a number of tokens.
    pub(super) fn full(most: usize) -> Self {
        Self { most, guesses: false, matches: 0, distance_bits: 0 }
    }

    /// GNU gzip's blocks: from level 3 on it guesses.
    pub(super) fn gnu(level: i8) -> Self {
        Self { guesses: level > 2, ..Self::full(GNU_BLOCK) }
    }

    /// Counts a token; true if the block ends with it. `tokens` are all of the block, `input` are the bytes of it up to the place
    /// from which the token was found.
    #[inline]
    pub(super) fn count(&mut self, token: DeflateToken, tokens: usize, input: isize) -> bool {
        if !self.guesses {
            return tokens == self.most;
        }
        if let TokenKind::Match(_, distance) = token.step() {
            self.matches += 1;
            self.distance_bits += 5 + usize::from(DISTANCE_EXTRA[distance_index(distance)]);
        }
        tokens == self.most || tokens.is_multiple_of(GUESS) && self.pays(tokens, input)
    }

    /// True if few of the tokens are matches, and the block comes to less than half of its input even if each token takes a byte.
    fn pays(&self, tokens: usize, input: isize) -> bool {
        let output = tokens + self.distance_bits / 8;
        self.matches < tokens / 2 && isize::try_from(output).is_ok_and(|output| output < input / 2)
    }

    /// A new block begins.
    pub(super) fn begin(&mut self) {
        (self.matches, self.distance_bits) = (0, 0);
    }
}
