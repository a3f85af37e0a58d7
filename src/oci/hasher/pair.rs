//! Two SHA-256 side by side in one core.
//!
//! The rounds of one hash wait for each other and leave half of a processor's SHA instructions idle. Those of two that do not
//! depend on each other fill the gaps, best where they are woven by the instruction: half as much again of both together as
//! of one after the other; by the block, as a processor without these instructions gets them here, it is a fifth.

use std::slice;

use sha2::block_api::compress256;

/// Bytes of the state of a SHA-256 between two blocks.
pub const STATE: usize = 32;

/// Bytes that SHA-256 takes in at a time (FIPS 180-4, 5.2.1).
pub(super) const BLOCK: usize = 64;

/// The state between two blocks.
pub(super) type StateWords = [u32; STATE / size_of::<u32>()];

/// One block of input.
pub(super) type Block = [u8; BLOCK];

/// Takes `ours` into `first` and `theirs`, of as many blocks, into `second`.
pub(super) fn compress(first: &mut StateWords, ours: &[Block], second: &mut StateWords, theirs: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if x86::is_there() {
        #[expect(
            unsafe_code,
            reason = "so a function is called that is compiled for features; the one place of the crate"
        )]
        // SAFETY: the processor was found to have every feature that the function asks for.
        return unsafe { x86::compress(first, ours, second, theirs) };
    }
    take_turns(first, ours, second, theirs);
}

/// The same by turns of a block. Where this crate is compiled without optimisation it is by far the faster of the two.
pub(super) fn take_turns(first: &mut StateWords, ours: &[Block], second: &mut StateWords, theirs: &[Block]) {
    for (our, their) in ours.iter().zip(theirs) {
        compress256(first, slice::from_ref(our));
        compress256(second, slice::from_ref(their));
    }
}

/// By the SHA extensions: registers hold the words as `abef` and `cdgh`, which is what the instructions want.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    use super::{Block, StateWords};

    /// What each round adds (FIPS 180-4, 4.2.2).
    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ];

    /// Whether the processor has what [`compress`] is compiled for. The answer is kept by the standard library.
    pub(super) fn is_there() -> bool {
        is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1")
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn compress(first: &mut StateWords, ours: &[Block], second: &mut StateWords, theirs: &[Block]) {
        let (mut one, mut other) = (Registers::of(first), Registers::of(second));
        for (our, their) in ours.iter().zip(theirs) {
            let (one_before, other_before) = (one, other);
            let (mut our, mut their) = (message(our), message(their));
            macro_rules! rounds {
                ($($four:literal)*) => {
                    $(
                        let k = words::<$four>();
                        let (w, v) = (next::<$four>(&mut our), next::<$four>(&mut their));
                        let (w, v) = (_mm_add_epi32(w, k), _mm_add_epi32(v, k));
                        one.cdgh = _mm_sha256rnds2_epu32(one.cdgh, one.abef, w);
                        other.cdgh = _mm_sha256rnds2_epu32(other.cdgh, other.abef, v);
                        let (w, v) = (_mm_shuffle_epi32::<0b1110>(w), _mm_shuffle_epi32::<0b1110>(v));
                        one.abef = _mm_sha256rnds2_epu32(one.abef, one.cdgh, w);
                        other.abef = _mm_sha256rnds2_epu32(other.abef, other.cdgh, v);
                    )*
                };
            }
            // Four rounds each.
            rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            one.add(one_before);
            other.add(other_before);
        }
        *first = one.words();
        *second = other.words();
    }

    /// The state of a hash under way.
    #[derive(Clone, Copy)]
    struct Registers {
        abef: __m128i,
        cdgh: __m128i,
    }

    #[expect(clippy::many_single_char_names, reason = "FIPS 180-4 calls the words so")]
    impl Registers {
        #[inline]
        #[target_feature(enable = "sse2")]
        fn of(words: &StateWords) -> Self {
            let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
            Self { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
        }

        #[inline]
        #[target_feature(enable = "sse4.1")]
        fn words(self) -> StateWords {
            let Self { abef, cdgh } = self;
            let [a, b, e, f] = lanes(abef);
            let [c, d, g, h] = lanes(cdgh);
            [a, b, c, d, e, f, g, h].map(i32::cast_unsigned)
        }

        #[inline]
        #[target_feature(enable = "sse2")]
        fn add(&mut self, before: Self) {
            self.abef = _mm_add_epi32(self.abef, before.abef);
            self.cdgh = _mm_add_epi32(self.cdgh, before.cdgh);
        }
    }

    /// The highest first.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn lanes(register: __m128i) -> [i32; 4] {
        [
            _mm_extract_epi32::<3>(register),
            _mm_extract_epi32::<2>(register),
            _mm_extract_epi32::<1>(register),
            _mm_extract_epi32::<0>(register),
        ]
    }

    /// The words of a block, four to a register.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn message(block: &Block) -> [__m128i; 4] {
        let (halves, _) = block.as_chunks();
        [four(halves[0], halves[1]), four(halves[2], halves[3]), four(halves[4], halves[5]), four(halves[6], halves[7])]
    }

    /// Four words, which are big-endian (FIPS 180-4, 3.1).
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn four(low: [u8; 8], high: [u8; 8]) -> __m128i {
        let turn = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        _mm_shuffle_epi8(_mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low)), turn)
    }

    /// The words of the message schedule for rounds `4 * FOUR` and on (FIPS 180-4, 6.2.2); `message` holds the sixteen before
    /// them, in a ring.
    #[inline]
    #[target_feature(enable = "sha,ssse3")]
    fn next<const FOUR: usize>(message: &mut [__m128i; 4]) -> __m128i {
        if FOUR >= 4 {
            let at = |back: usize| message[(FOUR - back) % 4];
            let early = _mm_add_epi32(_mm_sha256msg1_epu32(at(4), at(3)), _mm_alignr_epi8::<4>(at(1), at(2)));
            message[FOUR % 4] = _mm_sha256msg2_epu32(early, at(1));
        }
        message[FOUR % 4]
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn words<const FOUR: usize>() -> __m128i {
        let [a, b, c, d] = [K[4 * FOUR], K[4 * FOUR + 1], K[4 * FOUR + 2], K[4 * FOUR + 3]].map(u32::cast_signed);
        _mm_set_epi32(d, c, b, a)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block() -> impl Strategy<Value = Block> {
        proptest::collection::vec(any::<u8>(), BLOCK).prop_map(|bytes| bytes.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn woven_they_are_what_the_library_makes_of_each(
            states in any::<(StateWords, StateWords)>(),
            blocks in proptest::collection::vec((block(), block()), 0..6),
        ) {
            let (ours, theirs): (Vec<Block>, Vec<Block>) = blocks.into_iter().unzip();
            let (mut first, mut second) = states;
            compress(&mut first, &ours, &mut second, &theirs);
            let (mut one, mut other) = states;
            compress256(&mut one, &ours);
            compress256(&mut other, &theirs);
            prop_assert_eq!((first, second), (one, other));
        }
    }
}
