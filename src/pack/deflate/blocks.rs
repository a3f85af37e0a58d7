//! The three kinds of blocks (RFC 1951, 3.2.4 to 3.2.7).

use super::bits::BitWriter;
use super::huffman::BlockCodes;
use super::symbols::{
    END_OF_BLOCK, FIRST_LENGTH, MAX_STORED, distance_extra, distance_index, length_extra, length_index,
};
use super::tokens::{DeflateToken, TokenKind};

/// Writes a stored block of at most 65535 bytes.
pub(super) fn stored(bits: &mut BitWriter, bytes: &[u8], last: bool) {
    stored_header(bits, bytes.len(), last);
    bits.bytes(bytes);
}

/// Writes the header of a stored block.
pub(super) fn stored_header(bits: &mut BitWriter, length: usize, last: bool) {
    debug_assert!(length <= MAX_STORED);
    bits.put(last.into(), 3);
    bits.align();
    bits.put(length as u32, 16);
    bits.put(!length as u32 & 0xffff, 16);
    bits.align();
}

/// The bits of a stored block as encoders estimate them; `None` where one block cannot hold the bytes.
pub(super) fn stored_cost(bytes: &[u8]) -> Option<usize> {
    (bytes.len() <= MAX_STORED).then_some((bytes.len() + 5) * 8)
}

/// Writes the header of a block with the fixed codes.
pub(super) fn fixed_header(bits: &mut BitWriter, last: bool) {
    bits.put(0b010 | u32::from(last), 3);
}

/// Writes an empty block with the fixed codes.
pub(super) fn empty(bits: &mut BitWriter, last: bool) {
    fixed_header(bits, last);
    bits.put(0, 7);
}

/// Writes tokens, without the end of the block.
pub(super) fn tokens(bits: &mut BitWriter, tokens: &[DeflateToken], codes: &BlockCodes) {
    for token in tokens {
        match token.step() {
            TokenKind::Literal(byte) => {
                let code = codes.literals.codes[usize::from(byte)];
                bits.put(code.bits.into(), code.length.into());
            }
            TokenKind::Match(length, distance) => {
                let index = length_index(length);
                let code = codes.literals.codes[FIRST_LENGTH + index];
                let (extra, count) = length_extra(length, index);
                bits.put(u32::from(code.bits) | extra << code.length, u32::from(code.length) + count);
                let index = distance_index(distance);
                let code = codes.distances.codes[index];
                let (extra, count) = distance_extra(distance, index);
                bits.put(u32::from(code.bits) | extra << code.length, u32::from(code.length) + count);
            }
        }
    }
}

/// Writes bytes as literals, without the end of the block.
pub(super) fn literals(bits: &mut BitWriter, bytes: &[u8], codes: &BlockCodes) {
    for &byte in bytes {
        let code = codes.literals.codes[usize::from(byte)];
        bits.put(code.bits.into(), code.length.into());
    }
}

/// Writes the end of a block.
pub(super) fn end(bits: &mut BitWriter, codes: &BlockCodes) {
    let code = codes.literals.codes[END_OF_BLOCK];
    bits.put(code.bits.into(), code.length.into());
}
