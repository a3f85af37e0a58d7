//! Content digests (image-spec 1.1, *descriptor.md*, "Digests").
//!
//! A [`Digest`] is the only thing in airlift that may name a blob's file or URL, and [`Digest::from_str`] is the only
//! door by which text becomes one. What passes it is lower-case hex of exactly the algorithm's length, so it can hold
//! neither a separator nor `..`.

use std::{
    fmt,
    hash::{Hash, Hasher as HashInto},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256, Sha512};

/// Bytes of the longest digest known here (SHA-512).
const MAX_BYTES: usize = 64;

/// A hash algorithm that the image-spec registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, the one every tool must know.
    Sha256,
    /// `sha512`, optional for other tools.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name before the colon, and the folder under `blobs/`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the raw hash in bytes.
    pub const fn width(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// There is no `algorithm:` in front.
    #[error("a digest is written ALGORITHM:HEX, not {0:?}")]
    NoAlgorithm(String),
    /// The algorithm is none that the image-spec registers.
    #[error("digest algorithm {0:?} is not supported; known are sha256 and sha512")]
    UnknownAlgorithm(String),
    /// The encoded part has the wrong length or a character outside `0-9a-f`.
    #[error("a {algorithm} digest has {expected} lower-case hexadecimal digits, not {found:?}")]
    BadHex {
        /// The algorithm named.
        algorithm: Algorithm,
        /// Digits that it needs.
        expected: usize,
        /// What stood there.
        found: String,
    },
}

/// An algorithm and the hash it gave. 65 bytes, copied freely, ordered by algorithm and then hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    // Bytes past the algorithm's length stay zero, so that equality and order need not know it.
    bytes: [u8; MAX_BYTES],
}

impl Digest {
    /// The digest of `content` under `algorithm`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::from_raw(algorithm, &Sha256::digest(content)),
            Algorithm::Sha512 => Self::from_raw(algorithm, &Sha512::digest(content)),
        }
    }

    /// The SHA-256 digest of `content`, what airlift itself names things by.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }

    /// The algorithm, the part before the colon.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself, as many bytes as the algorithm has.
    pub fn raw(&self) -> &[u8] {
        &self.bytes[..self.algorithm.width()]
    }

    /// The encoded part, lower-case hex, the part after the colon.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(2 * self.algorithm.width());
        for byte in self.raw() {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }

    /// The first twelve hex digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    pub(super) fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Self {
        let mut bytes = [0; MAX_BYTES];
        bytes[..raw.len()].copy_from_slice(raw);
        Self { algorithm, bytes }
    }
}

// Only what the algorithm gave: maps by digest are asked several times for each blob of a bundle. No two digests of one
// algorithm feed the same bytes to it, and those of two do not have the same length.
impl Hash for Digest {
    fn hash<H: HashInto>(&self, state: &mut H) {
        state.write(self.raw());
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or_else(|| ParseDigestError::NoAlgorithm(text.to_owned()))?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| ParseDigestError::UnknownAlgorithm(name.to_owned()))?;
        decode_hex(algorithm, hex).ok_or_else(|| ParseDigestError::BadHex {
            algorithm,
            expected: algorithm.width() * 2,
            found: hex.to_owned(),
        })
    }
}

/// `None` unless `hex` is exactly the algorithm's number of lower-case digits.
fn decode_hex(algorithm: Algorithm, hex: &str) -> Option<Digest> {
    if hex.len() != algorithm.width() * 2 {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; MAX_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(Digest { algorithm, bytes })
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's own example, "abc".
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_the_published_one_and_survives_text() {
        let digest = Digest::sha256(b"abc");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(digest));
        let long = Digest::of(Algorithm::Sha512, b"abc");
        assert!(long.to_string().starts_with("sha512:ddaf35a193617aba"));
        assert_eq!(long.to_string().parse(), Ok(long));
    }

    #[test]
    fn what_could_name_a_path_or_another_blob_is_refused() {
        let hex = &ABC[7..];
        for bad in [
            String::new(),
            hex.to_owned(),
            format!("md5:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha512:{hex}"),
            format!("sha256:../{}", &hex[3..]),
            format!("sha256:{}é", &hex[2..]),
            format!(" {ABC}"),
            format!("{ABC}\n"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} must not parse");
        }
    }
}
