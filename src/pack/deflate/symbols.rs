//! The alphabets of deflate: how lengths and distances become symbols and extra bits (RFC 1951, 3.2.5).

/// Literals, the end of a block and the length symbols that may occur.
pub(super) const LITERALS: usize = 286;
/// Distance symbols that may occur.
pub(super) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// The symbol of the shortest length.
pub(super) const FIRST_LENGTH: usize = 257;
/// The shortest match of the format.
pub(super) const MIN_MATCH: usize = 3;
/// The longest match of the format.
pub(super) const MAX_MATCH: usize = 258;
/// The farthest match of the format, and the size of its window.
pub(super) const WINDOW: usize = 1 << 15;
/// The longest stored block.
pub(super) const MAX_STORED: usize = 65_535;

/// Positions in tables of 32 bits are lowered when they reach this.
pub(super) const HIGHEST_POSITION: u32 = 1 << 30;

/// Extra bits of the length symbols, from 257 on.
pub(super) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits of the distance symbols.
pub(super) const DISTANCE_EXTRA: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// The smallest length, less three, of each length symbol.
const LENGTH_BASE: [u8; 29] = length_base();
/// The smallest distance, less one, of each distance symbol.
const DISTANCE_BASE: [u16; 30] = distance_base();
/// From a length less three to its symbol less 257.
const LENGTH_SYMBOL: [u8; 256] = length_symbol();
/// From a distance less one to its symbol: as it is below 256, by its upper bits (from 256 on) above.
const DISTANCE_SYMBOL: [u8; 512] = distance_symbol();

const fn length_base() -> [u8; 29] {
    let mut bases = [0; 29];
    let mut next = 0_u8;
    let mut symbol = 0;
    while symbol < 28 {
        bases[symbol] = next;
        next = next.wrapping_add(1 << LENGTH_EXTRA[symbol]);
        symbol += 1;
    }
    // 258 has a symbol of its own, though the one before it could say it, too.
    bases[28] = 255;
    bases
}

const fn distance_base() -> [u16; 30] {
    let mut bases = [0; 30];
    let mut next = 0_u16;
    let mut symbol = 0;
    while symbol < 30 {
        bases[symbol] = next;
        next = next.wrapping_add(1 << DISTANCE_EXTRA[symbol]);
        symbol += 1;
    }
    bases
}

const fn length_symbol() -> [u8; 256] {
    let mut table = [0; 256];
    let mut length = 0;
    let mut symbol = 0;
    while length < 256 {
        while symbol < 28 && length >= LENGTH_BASE[symbol as usize + 1] as usize {
            symbol += 1;
        }
        table[length] = symbol;
        length += 1;
    }
    table
}

const fn distance_symbol() -> [u8; 512] {
    let mut table = [0; 512];
    let mut index = 0;
    let mut symbol = 0;
    while index < 512 {
        let distance = if index < 256 { index } else { (index - 256) << 7 };
        if index == 256 {
            symbol = 0;
        }
        while symbol < 29 && distance >= DISTANCE_BASE[symbol as usize + 1] as usize {
            symbol += 1;
        }
        table[index] = symbol;
        index += 1;
    }
    table
}

/// The symbol, less 257, of a length less three.
#[inline]
pub(super) fn length_index(length: u8) -> usize {
    usize::from(LENGTH_SYMBOL[usize::from(length)])
}

/// The symbol of a distance less one.
#[inline]
pub(super) fn distance_index(distance: u16) -> usize {
    let slot = if distance < 256 { usize::from(distance) } else { 256 + (usize::from(distance) >> 7) };
    usize::from(DISTANCE_SYMBOL[slot & 511])
}

/// The extra bits, and how many, of a length less three with this symbol less 257.
#[inline]
pub(super) fn length_extra(length: u8, index: usize) -> (u32, u32) {
    (u32::from(length - LENGTH_BASE[index]), u32::from(LENGTH_EXTRA[index]))
}

/// The extra bits, and how many, of a distance less one with this symbol.
#[inline]
pub(super) fn distance_extra(distance: u16, index: usize) -> (u32, u32) {
    (u32::from(distance - DISTANCE_BASE[index]), u32::from(DISTANCE_EXTRA[index]))
}

/// The smallest length of a symbol less 257, and how many extra bits follow.
pub(super) fn length_of(index: usize) -> Option<(usize, u32)> {
    let least = MIN_MATCH + usize::from(*LENGTH_BASE.get(index)?);
    Some((least, LENGTH_EXTRA[index].into()))
}

/// The smallest distance of a symbol, and how many extra bits follow.
pub(super) fn distance_of(symbol: usize) -> Option<(usize, u32)> {
    let least = 1 + usize::from(*DISTANCE_BASE.get(symbol)?);
    Some((least, DISTANCE_EXTRA[symbol].into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_symbols_of_the_specification() {
        let symbol = |length: usize| FIRST_LENGTH + length_index((length - MIN_MATCH) as u8);
        assert_eq!([3, 10, 11, 12, 13, 34, 35, 257, 258].map(symbol), [257, 264, 265, 265, 266, 272, 273, 284, 285]);
        assert_eq!(length_extra(254, 27), (30, 5));
        assert_eq!(length_extra(255, 28), (0, 0));
    }

    #[test]
    fn distances_have_the_symbols_of_the_specification() {
        let symbol = |distance: usize| distance_index((distance - 1) as u16);
        assert_eq!([1, 4, 5, 7, 256, 257, 384, 385, 32768].map(symbol), [0, 3, 4, 5, 15, 16, 16, 17, 29]);
        assert_eq!(distance_extra(32767, 29), (8191, 13));
    }

    #[test]
    fn every_length_and_distance_comes_back_from_its_symbol() {
        for length in 0..=255_u8 {
            let index = length_index(length);
            assert_eq!(u32::from(LENGTH_BASE[index]) + length_extra(length, index).0, u32::from(length));
            assert!(length_extra(length, index).0 < 1 << LENGTH_EXTRA[index]);
        }
        for distance in 0..=32767_u16 {
            let index = distance_index(distance);
            assert!(distance_extra(distance, index).0 < 1 << DISTANCE_EXTRA[index], "distance {distance}");
        }
    }
}
