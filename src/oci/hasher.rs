//! Hashes under way: kept, resumed, and computed two at a time.

mod pair;

use std::{array, fmt, slice};

use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

pub use self::pair::STATE;
use self::pair::{BLOCK, Block, StateWords};
use super::{Algorithm, Digest};

/// Where a serialized state says how many bytes of a block that is not full it holds: behind its words and the number of
/// blocks taken in.
const PENDING: usize = STATE + size_of::<u64>();

/// A running hash. A clone is 200 bytes and keeps the state, from which a blob resumes.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256 under way.
    Sha256(Sha256),
    /// SHA-512 under way.
    Sha512(Sha512),
}

impl Hasher {
    /// Nothing hashed yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Takes in `ours` here and `theirs` in `other`, both at a time, which takes a third less than [`Hasher::update`] twice.
    pub fn update_both(&mut self, ours: &[impl AsRef<[u8]>], other: &mut Self, theirs: &[impl AsRef<[u8]>]) {
        if let (Self::Sha256(first), Self::Sha256(second)) = (&mut *self, &mut *other) {
            take_both(BlockReader::new(first, ours), BlockReader::new(second, theirs));
            return;
        }
        for chunk in ours {
            self.update(chunk.as_ref());
        }
        for chunk in theirs {
            other.update(chunk.as_ref());
        }
    }

    /// The state, where this is a SHA-256 that has taken in whole blocks of 64 bytes only; [`Hasher::resume`] continues
    /// from it.
    pub fn state(&self) -> Option<[u8; STATE]> {
        let Self::Sha256(hash) = self else { return None };
        let serialized = hash.serialize();
        if serialized[PENDING] == 0 { serialized[..STATE].try_into().ok() } else { None }
    }

    /// A SHA-256 that has taken in `taken` bytes, a multiple of 64, and came to `state` by them.
    pub fn resume(state: [u8; STATE], taken: u64) -> Option<Self> {
        let blocks = taken.is_multiple_of(BLOCK as u64).then_some(taken / BLOCK as u64)?;
        let mut serialized = SerializedState::<Sha256>::default();
        serialized[..STATE].copy_from_slice(&state);
        serialized[STATE..PENDING].copy_from_slice(&blocks.to_le_bytes());
        Sha256::deserialize(&serialized).ok().map(Self::Sha256)
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::from_raw(Algorithm::Sha256, &hash.finalize()),
            Self::Sha512(hash) => Digest::from_raw(Algorithm::Sha512, &hash.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Hasher(sha256)",
            Self::Sha512(_) => "Hasher(sha512)",
        })
    }
}

/// Takes in what both readers have, side by side as long as both have a block.
fn take_both(mut first: BlockReader<'_, impl AsRef<[u8]>>, mut second: BlockReader<'_, impl AsRef<[u8]>>) {
    let compress = if cfg!(debug_assertions) { pair::take_turns } else { pair::compress };
    loop {
        let (ours, theirs) = (first.blocks(), second.blocks());
        let count = ours.len().min(theirs.len());
        if count == 0 {
            break;
        }
        let (mut one, mut other) = (words(first.hash), words(second.hash));
        compress(&mut one, &ours[..count], &mut other, &theirs[..count]);
        first.advance(one, count);
        second.advance(other, count);
    }
    first.finish();
    second.finish();
}

/// The words of the state between two blocks.
fn words(hash: &Sha256) -> StateWords {
    let serialized = hash.serialize();
    array::from_fn(|at| u32::from_le_bytes(array::from_fn(|byte| serialized[4 * at + byte])))
}

/// A hash and what it is to take in.
struct BlockReader<'a, C> {
    hash: &'a mut Sha256,
    chunks: slice::Iter<'a, C>,
    /// What is left of the chunk that was begun.
    rest: &'a [u8],
}

impl<'a, C: AsRef<[u8]>> BlockReader<'a, C> {
    fn new(hash: &'a mut Sha256, chunks: &'a [C]) -> Self {
        Self { hash, chunks: chunks.iter(), rest: &[] }
    }

    /// The next whole blocks of one chunk. A block that spans two chunks is hashed on the way. Empty at the end.
    fn blocks(&mut self) -> &'a [Block] {
        loop {
            if self.rest.is_empty() {
                let Some(chunk) = self.chunks.next() else { return &[] };
                self.rest = chunk.as_ref();
            }
            let pending = usize::from(self.hash.serialize()[PENDING]);
            let (blocks, _) = self.rest.as_chunks();
            if pending == 0 && !blocks.is_empty() {
                return blocks;
            }
            let (head, rest) = self.rest.split_at((BLOCK - pending).min(self.rest.len()));
            self.hash.update(head);
            self.rest = rest;
        }
    }

    /// The next `count` blocks have been taken in, and led to `words`.
    fn advance(&mut self, words: StateWords, count: usize) {
        self.rest = &self.rest[count * BLOCK..];
        let mut serialized = self.hash.serialize();
        for (place, word) in serialized.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let before = u64::from_le_bytes(array::from_fn(|at| serialized[STATE + at]));
        serialized[STATE..PENDING].copy_from_slice(&(before + count as u64).to_le_bytes());
        // It was between two blocks, and it is again; a hash that did not go on would give a wrong digest, and fail.
        if let Ok(hash) = Sha256::deserialize(&serialized) {
            *self.hash = hash;
        }
    }

    fn finish(self) {
        self.hash.update(self.rest);
        for chunk in self.chunks {
            self.hash.update(chunk.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hash_resumes_from_its_state() {
        let bytes: Vec<u8> = (0..=255).cycle().take(4096 + 100).collect();
        let mut first = Hasher::new(Algorithm::Sha256);
        first.update(&bytes[..4096]);
        let mut second = Hasher::resume(first.state().unwrap(), 4096).unwrap();
        second.update(&bytes[4096..]);
        assert_eq!(second.finish(), Digest::sha256(&bytes));
        first.update(b"x");
        assert_eq!(first.state(), None, "in the middle of a block");
        assert!(Hasher::resume([0; STATE], 65).is_none());
        assert_eq!(Hasher::new(Algorithm::Sha512).state(), None);
    }

    proptest! {
        #[test]
        fn two_hashes_taken_in_together_are_what_they_are_alone(
            ours in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            theirs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            before in (0_usize..130, 0_usize..130),
            kinds in (prop::sample::select(&Algorithm::ALL), prop::sample::select(&Algorithm::ALL)),
        ) {
            let (begun, other) = (vec![7; before.0], vec![9; before.1]);
            let (mut first, mut second) = (Hasher::new(kinds.0), Hasher::new(kinds.1));
            first.update(&begun);
            second.update(&other);
            first.update_both(&ours, &mut second, &theirs);
            // Both go on well afterwards.
            first.update(b"end");
            second.update(b"end");
            prop_assert_eq!(first.finish(), Digest::of(kinds.0, &[begun, ours.concat(), b"end".to_vec()].concat()));
            prop_assert_eq!(second.finish(), Digest::of(kinds.1, &[other, theirs.concat(), b"end".to_vec()].concat()));
        }
    }
}
