//! The MD5 of a file and that of the part of it that goes by, in one pass.
//!
//! Azure wants both: one for each block that is put, and one to keep with the blob. MD5 (RFC 1321) is a chain in which each
//! step waits for the one before, so that a processor idles through much of it; two chains over the same bytes, step by step, take
//! a fifth longer than one instead of twice as long. The crate `md-5`, which knows one chain
//! at a time, is what the tests hold this against. It proves nothing to us: what is proven is proven by SHA-256.

use std::{array, slice};

use crate::oci::Hasher;

/// Bytes that MD5 takes in at a time.
const BLOCK: usize = 64;

/// Blocks that one hash takes in before the other does: 8 KiB, of the 32 that a core's nearest memory has.
const PIECE: usize = 128;

/// The words of a hash under way.
type Words = [u32; 4];

/// What a hash begins with (RFC 1321, 3.3).
const START: Words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// By how much each step rotates, by round and step modulo 4 (RFC 1321, 3.4).
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// What each step adds: the integer part of 2³² · |sin(step + 1)| (RFC 1321, 3.4).
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// Both hashes under way. Parts begin at multiples of 64 bytes, so the block that is not full yet is the same for both.
#[derive(Clone)]
pub(super) struct Md5s {
    whole: Words,
    part: Words,
    /// Bytes of the file that were taken in.
    taken: u64,
    /// Where in the file the part begins.
    begun: u64,
    /// The block that is not full yet; the rest of it is from before.
    block: [u8; BLOCK],
}

impl Md5s {
    /// Nothing taken in yet.
    pub(super) const fn new() -> Self {
        Self { whole: START, part: START, taken: 0, begun: 0, block: [0; BLOCK] }
    }

    /// Goes on at a part's beginning, behind `taken` bytes, a multiple of 64, by which the hash of the file came to `state`.
    pub(super) fn resume(state: [u8; 16], taken: u64) -> Self {
        let (words, _) = state.as_chunks::<4>();
        let whole = array::from_fn(|at| u32::from_le_bytes(words[at]));
        Self { whole, part: START, taken, begun: taken, block: [0; BLOCK] }
    }

    /// The state of the file's hash, which [`Md5s::resume`] goes on from. It says nothing of a block that is not full.
    pub(super) fn state(&self) -> [u8; 16] {
        bytes(self.whole)
    }

    /// Takes in the next bytes, here and in `beside`, in turns.
    pub(super) fn update(&mut self, mut bytes: &[u8], mut beside: Option<&mut Hasher>) {
        let pending = self.pending();
        self.taken += bytes.len() as u64;
        if pending > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - pending));
            self.block[pending..pending + head.len()].copy_from_slice(head);
            if let Some(beside) = &mut beside {
                beside.update(head);
            }
            if pending + head.len() < BLOCK {
                return;
            }
            let block = self.block;
            self.compress(&block);
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        // So few at a time that they are at hand for the second hash.
        for blocks in blocks.chunks(PIECE) {
            for block in blocks {
                self.compress(block);
            }
            if let Some(beside) = &mut beside {
                beside.update(blocks.as_flattened());
            }
        }
        self.block[..rest.len()].copy_from_slice(rest);
        if let Some(beside) = beside {
            beside.update(rest);
        }
    }

    /// Ends the part here, where another one begins; its MD5.
    pub(super) fn part(&mut self) -> [u8; 16] {
        let digest = self.padded(self.part, self.taken - self.begun);
        (self.part, self.begun) = (START, self.taken);
        digest
    }

    /// The MD5 of the file.
    pub(super) fn finish(self) -> [u8; 16] {
        self.padded(self.whole, self.taken)
    }

    /// Bytes in the block that is not full.
    fn pending(&self) -> usize {
        usize::try_from(self.taken % BLOCK as u64).unwrap_or(0)
    }

    fn compress(&mut self, block: &[u8; BLOCK]) {
        compress(&mut self.whole, &mut self.part, block);
    }

    /// A hash of `length` bytes that came to `words` before the block that is not full (RFC 1321, 3.1 and 3.2).
    fn padded(&self, mut words: Words, length: u64) -> [u8; 16] {
        let pending = self.pending();
        let mut last = [0; 2 * BLOCK];
        last[..pending].copy_from_slice(&self.block[..pending]);
        last[pending] = 0x80;
        let end = if pending + 1 + size_of::<u64>() <= BLOCK { BLOCK } else { 2 * BLOCK };
        last[end - size_of::<u64>()..end].copy_from_slice(&length.wrapping_mul(8).to_le_bytes());
        for block in last[..end].as_chunks().0 {
            compress(&mut words, &mut START.clone(), block);
        }
        bytes(words)
    }
}

fn bytes(words: Words) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}

/// One step of a hash (RFC 1321, 3.4). The words change their parts from step to step instead of their places.
#[inline]
fn step<const STEP: usize>(words: &mut Words, added: u32) {
    let word = |place: usize| (64 + place - STEP) % 4;
    let [a, b, c, d] = [words[word(0)], words[word(1)], words[word(2)], words[word(3)]];
    let mixed = match STEP / 16 {
        0 => (b & c) | (!b & d),
        1 => (b & d) | (c & !d),
        2 => b ^ c ^ d,
        _ => c ^ (b | !d),
    };
    let sum = a.wrapping_add(added).wrapping_add(mixed);
    words[word(0)] = b.wrapping_add(sum.rotate_left(ROTATIONS[STEP / 16][STEP % 4]));
}

/// A block in two hashes.
fn compress(first: &mut Words, second: &mut Words, block: &[u8; BLOCK]) {
    if cfg!(debug_assertions) {
        // Where this crate is compiled without optimisation, the library's two passes take a tenth of the time.
        md5::block_api::compress(first, slice::from_ref(block));
        md5::block_api::compress(second, slice::from_ref(block));
    } else {
        weave(first, second, block);
    }
}

/// The same, a step of one and the same step of the other.
fn weave(first: &mut Words, second: &mut Words, block: &[u8; BLOCK]) {
    let (words, _) = block.as_chunks::<4>();
    let message: [u32; 16] = array::from_fn(|at| u32::from_le_bytes(words[at]));
    let (mut one, mut other) = (*first, *second);
    macro_rules! steps {
        ($($step:literal)*) => {
            $(
                let word = match $step / 16 {
                    0 => $step,
                    1 => (5 * $step + 1) % 16,
                    2 => (3 * $step + 5) % 16,
                    _ => 7 * $step % 16,
                };
                let added = message[word].wrapping_add(SINES[$step]);
                step::<$step>(&mut one, added);
                step::<$step>(&mut other, added);
            )*
        };
    }
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    steps!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    for (to, by) in first.iter_mut().zip(one).chain(second.iter_mut().zip(other)) {
        *to = to.wrapping_add(by);
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};
    use proptest::prelude::*;

    use super::*;
    use crate::oci::{Algorithm, Digest};

    proptest! {
        #[test]
        fn woven_they_are_what_the_library_makes_of_each(
            states in any::<(Words, Words)>(),
            block in proptest::collection::vec(any::<u8>(), BLOCK),
        ) {
            let block: [u8; BLOCK] = block.try_into().unwrap();
            let (mut first, mut second) = states;
            weave(&mut first, &mut second, &block);
            let (mut one, mut other) = states;
            md5::block_api::compress(&mut one, &[block]);
            md5::block_api::compress(&mut other, &[block]);
            prop_assert_eq!((first, second), (one, other));
        }

        #[test]
        fn of_the_whole_and_of_each_part_it_is_what_others_find(
            content in proptest::collection::vec(any::<u8>(), 0..2000),
            cuts in proptest::collection::vec(1usize..300, 1..20),
            blocks in 1usize..6,
        ) {
            let (mut md5s, mut hasher) = (Md5s::new(), Hasher::new(Algorithm::Sha256));
            let (mut parts, mut rest, mut sizes) = (Vec::new(), &content[..], cuts.iter().cycle());
            let size = BLOCK * blocks;
            for part in content.chunks(size) {
                let mut left = part;
                while !left.is_empty() {
                    let (now, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
                    md5s.update(now, Some(&mut hasher));
                    left = later;
                }
                parts.push(md5s.part());
                rest = &rest[part.len()..];
                if !rest.is_empty() {
                    md5s = Md5s::resume(md5s.state(), (content.len() - rest.len()) as u64);
                }
            }
            let expected: Vec<[u8; 16]> = content.chunks(size).map(|part| Md5::digest(part).into()).collect();
            prop_assert_eq!(parts, expected);
            prop_assert_eq!(md5s.finish(), <[u8; 16]>::from(Md5::digest(&content)));
            prop_assert_eq!(hasher.finish(), Digest::sha256(&content));
        }
    }
}
