//! Hashes under way: kept, and resumed.

use std::fmt;

use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::{Algorithm, Digest};

/// Bytes of the state of a SHA-256 between two blocks.
pub const STATE: usize = 32;

/// Bytes that SHA-256 takes in at a time (FIPS 180-4, 5.2.1).
const BLOCK: usize = 64;

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

#[cfg(test)]
mod tests {
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
}
