//! Reads tokens of a deflate stream (RFC 1951, 3.2.3 to 3.2.7), without making its content.

use super::bytes::load64;
use super::symbols::{END_OF_BLOCK, FIRST_LENGTH, distance_of, length_of};
use super::tokens::DeflateToken;

/// The order in which a header has the lengths of the code of code lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Codes up to so many bits are looked up; longer ones are rare.
const LOOKED_UP: u32 = 10;

/// How a block is written.
#[derive(Debug)]
pub(super) enum BlockForm {
    /// As it is: this many bytes, which begin at a byte.
    Stored(usize),
    /// As tokens.
    Coded(Box<TokenDecoder>),
}

/// The codes of a block.
#[derive(Debug)]
pub(super) struct TokenDecoder {
    literals: SymbolDecoder,
    distances: SymbolDecoder,
}

/// What comes next in a block.
pub(super) enum BlockItem {
    Token(DeflateToken),
    End,
}

/// A code by which symbols are read.
#[derive(Debug)]
struct SymbolDecoder {
    /// By the next bits: the symbol and, in the lowest four bits, the length of its code; 0 for a longer code, or none.
    table: Vec<u16>,
    /// How many symbols have codes of each length.
    counts: [u16; 16],
    /// The symbols by length, then by number.
    symbols: Vec<u16>,
}

impl SymbolDecoder {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0_u16; 16];
        let mut symbols: Vec<u16> =
            (0..).take(lengths.len()).filter(|&symbol| lengths[usize::from(symbol)] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        let mut table = vec![0; 1 << LOOKED_UP];
        let (mut code, mut before) = (0_u32, 0);
        for &symbol in &symbols {
            let length = u32::from(lengths[usize::from(symbol)]);
            counts[length as usize] += 1;
            code <<= length - before;
            before = length;
            // Codes begin with their highest bit.
            let bits = code.reverse_bits() >> (32 - length);
            if length <= LOOKED_UP {
                let places = table.iter_mut().skip(bits as usize).step_by(1 << length);
                places.for_each(|entry| *entry = symbol << 4 | length as u16);
            }
            code = code.wrapping_add(1);
        }
        Self { table, counts, symbols }
    }

    /// The symbol that `bits` begin with, and the length of its code.
    #[inline]
    fn read(&self, bits: u64) -> Option<(usize, u32)> {
        let entry = self.table[bits as usize % (1 << LOOKED_UP)];
        if entry > 0 { Some((usize::from(entry >> 4), u32::from(entry & 15))) } else { self.read_long(bits) }
    }

    /// Codes of one length follow one another, and the first is twice what follows the last shorter one.
    #[cold]
    fn read_long(&self, mut bits: u64) -> Option<(usize, u32)> {
        let (mut code, mut first, mut index) = (0_u32, 0, 0);
        for (&count, length) in self.counts[1..].iter().zip(1..) {
            code = code << 1 | (bits & 1) as u32;
            bits >>= 1;
            let count = u32::from(count);
            if code < first + count {
                // In a code that is over-full there may be none.
                let number = (index + code).checked_sub(first)?;
                return self.symbols.get(number as usize).map(|&symbol| (symbol.into(), length));
            }
            index += count;
            first = (first + count) << 1;
        }
        None
    }
}

/// Reads bits in the order of deflate. `None` is what is not there: the bytes end, or are no deflate stream.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte that is not among `bits`.
    at: usize,
    bits: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    /// A reader from a bit on, counted from the beginning of `bytes`.
    pub(super) fn new(bytes: &'a [u8], from: usize) -> Self {
        let mut reader = Self { bytes, at: from / 8, bits: 0, count: 0 };
        reader.fill();
        reader.drop_bits(reader.count.min((from % 8) as u32));
        reader
    }

    /// How many bits were read.
    pub(super) fn position(&self) -> usize {
        8 * self.at - self.count as usize
    }

    /// Takes in bytes, so that at least 56 bits are there, where there are as many.
    #[inline]
    fn fill(&mut self) {
        if self.at + size_of::<u64>() <= self.bytes.len() {
            self.bits |= load64(self.bytes, self.at) << self.count;
            self.at += (63 - self.count as usize) / 8;
            self.count |= 0b11_1000;
            return;
        }
        while self.count < 56
            && let Some(&byte) = self.bytes.get(self.at)
        {
            self.bits |= u64::from(byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    #[inline]
    fn drop_bits(&mut self, count: u32) {
        self.bits >>= count;
        self.count -= count;
    }

    /// At most 16 bits, which are among `bits`.
    #[inline]
    fn take(&mut self, count: u32) -> Option<usize> {
        if count > self.count {
            return None;
        }
        let taken = self.bits & ((1 << count) - 1);
        self.drop_bits(count);
        Some(taken as usize)
    }

    #[inline]
    fn symbol(&mut self, code: &SymbolDecoder) -> Option<usize> {
        let (symbol, length) = code.read(self.bits)?;
        self.take(length).map(|_| symbol)
    }

    /// The head of a block: whether it is the last, and how it is written.
    pub(super) fn block(&mut self) -> Option<(bool, BlockForm)> {
        self.fill();
        let is_last = self.take(1)? == 1;
        let form = match self.take(2)? {
            0 => self.stored()?,
            1 => {
                let mut literals = [8; 288];
                literals[144..256].fill(9);
                literals[256..280].fill(7);
                let [literals, distances] = [SymbolDecoder::new(&literals), SymbolDecoder::new(&[5; 30])];
                BlockForm::Coded(Box::new(TokenDecoder { literals, distances }))
            }
            2 => self.dynamic()?,
            _ => return None,
        };
        Some((is_last, form))
    }

    fn stored(&mut self) -> Option<BlockForm> {
        self.drop_bits(self.count % 8);
        self.fill();
        let length = self.take(16)?;
        (self.take(16)? == !length & 0xffff).then_some(BlockForm::Stored(length))
    }

    fn dynamic(&mut self) -> Option<BlockForm> {
        let literals = self.take(5)? + 257;
        let distances = self.take(5)? + 1;
        let count = self.take(4)? + 4;
        let mut lengths = [0; ORDER.len()];
        for &symbol in &ORDER[..count] {
            self.fill();
            lengths[symbol] = self.take(3)? as u8;
        }
        let code = SymbolDecoder::new(&lengths);
        let mut lengths = Vec::with_capacity(literals + distances);
        while lengths.len() < literals + distances {
            self.fill();
            let (length, times) = match self.symbol(&code)? {
                16 => (*lengths.last()?, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        let (literals, distances) = lengths.split_at(literals);
        let [literals, distances] = [literals, distances].map(SymbolDecoder::new);
        Some(BlockForm::Coded(Box::new(TokenDecoder { literals, distances })))
    }

    /// What comes next in a block.
    #[inline]
    pub(super) fn item(&mut self, codes: &TokenDecoder) -> Option<BlockItem> {
        self.fill();
        let symbol = self.symbol(&codes.literals)?;
        if let Ok(byte) = u8::try_from(symbol) {
            return Some(BlockItem::Token(DeflateToken::literal(byte)));
        }
        if symbol == END_OF_BLOCK {
            return Some(BlockItem::End);
        }
        let (length, extra) = length_of(symbol - FIRST_LENGTH)?;
        let length = length + self.take(extra)?;
        let (distance, extra) = distance_of(self.symbol(&codes.distances)?)?;
        Some(BlockItem::Token(DeflateToken::matched(length, distance + self.take(extra)?)))
    }
}

/// The tokens of the first block, at most `most`, as far as `deflate` has them: by them two encoders are told apart long before a
/// block ends. None where they tell nothing of how matches are sought: the block is stored, or has no match.
pub(super) fn first_tokens(deflate: &[u8], most: usize) -> Vec<DeflateToken> {
    let mut tokens = Vec::new();
    let mut has_match = false;
    let mut reader = BitReader::new(deflate, 0);
    if let Some((_, BlockForm::Coded(codes))) = reader.block() {
        while tokens.len() < most
            && let Some(BlockItem::Token(token)) = reader.item(&codes)
        {
            has_match |= token.is_match();
            tokens.push(token);
        }
    }
    if has_match { tokens } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitWriter;
    use crate::compressor::Compressor;
    use crate::recipe::{Engine, Family};
    use crate::test_data::mixture;
    use crate::tokens::TokenKind;

    fn deflated(family: Family, level: i8, content: &[u8]) -> Vec<u8> {
        let engine = Engine::new(family, level).expect("the family has the level");
        let (mut compressor, mut bits) = (Compressor::new(engine, &[]), BitWriter::default());
        compressor.write(content, &mut bits);
        compressor.finish(&mut bits);
        bits.align();
        bits.complete().to_vec()
    }

    #[test]
    fn tokens_stand_for_the_content_that_they_were_made_of() {
        // One with codes of its own, one with the fixed ones.
        for (content, level) in [(mixture(150_000), 6), (b"abcabcabcabcabc".to_vec(), 6), (mixture(150_000), 1)] {
            let deflate = deflated(Family::Zlib, level, &content);
            let mut made: Vec<u8> = Vec::new();
            let tokens = first_tokens(&deflate, usize::MAX);
            for token in &tokens {
                match token.step() {
                    TokenKind::Literal(byte) => made.push(byte),
                    TokenKind::Match(length, distance) => {
                        let from = made.len() - 1 - usize::from(distance);
                        (from..from + 3 + usize::from(length)).for_each(|at| made.push(made[at]));
                    }
                }
            }
            assert!(made.len() > content.len() / 4 && content.starts_with(&made), "{} bytes", made.len());
            assert_eq!(first_tokens(&deflate, 2000), tokens[..tokens.len().min(2000)]);
            // A beginning has the same ones.
            let some = first_tokens(&deflate[..deflate.len() / 3], usize::MAX);
            assert!(tokens.starts_with(&some));
        }
    }

    #[test]
    fn blocks_without_matches_tell_nothing() {
        assert_eq!(first_tokens(&deflated(Family::Go, 0, &mixture(1000)), 9), []);
        assert_eq!(first_tokens(&deflated(Family::Go, -2, &mixture(1000)), 9), []);
        assert_eq!(first_tokens(&[], 9), []);
        // The reserved kind, and codes that are over-full or none.
        for first in 0..=255 {
            let noise: Vec<u8> = std::iter::once(first).chain(mixture(300).into_iter().rev()).collect();
            assert!(first_tokens(&noise, 1000).len() <= 1000);
        }
    }
}
