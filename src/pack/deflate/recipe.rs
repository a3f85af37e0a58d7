//! What a gzip stream was made by, as a small value that a packed file keeps.
//!
//! Its bytes are in `docs/pack-format.md`. Identifiers are never used again for another meaning; a reader refuses those it does not know.

use super::header::MAX_HEADER;

const VERSION: u8 = 1;
/// The smallest block of pgzip: larger than what the next block may reach of it.
pub(super) const MIN_BLOCK: u32 = (1 << 14) + 1;
/// The smallest block of pigz: what the next block may reach.
pub(super) const MIN_PIGZ: u32 = 1 << 15;
/// The largest block.
const MAX_BLOCK: u32 = 1 << 30;

/// Why bytes are not a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// A later format.
    #[error("recipe of version {found}; this program knows version {VERSION}")]
    Version {
        /// The version that the recipe names.
        found: u8,
    },
    /// A family that this program does not know.
    #[error("unknown encoder family {id}")]
    Family {
        /// Its identifier.
        id: u8,
    },
    /// A level that the family does not have, or whose bytes this program cannot make.
    #[error("encoder family {family} has no level {level}")]
    Level {
        /// The identifier of the family.
        family: u8,
        /// The level.
        level: i16,
    },
    /// A framing that this program does not know.
    #[error("unknown framing {id}")]
    Framing {
        /// Its identifier.
        id: u8,
    },
    /// A size that no encoder uses.
    #[error("block of {size} bytes; expected {MIN_BLOCK} (pigz: {MIN_PIGZ}) to {MAX_BLOCK}")]
    BlockSize {
        /// The size that the recipe names.
        size: u32,
    },
    /// A gzip header longer than is kept.
    #[error("gzip header of {length} bytes; at most {MAX_HEADER} are kept")]
    HeaderSize {
        /// The length that the recipe names.
        length: u32,
    },
    /// The bytes end too early, or go on after the end.
    #[error("recipe of {found} bytes; expected {expected}")]
    Length {
        /// The length that its members add up to, as far as they are there.
        expected: usize,
        /// The length of the bytes.
        found: usize,
    },
}

/// A line of encoders whose releases give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Go's `compress/flate` up to Go 1.26.
    Go,
    /// Go's `compress/flate` from Go 1.27 on.
    Go1_27,
    /// klauspost's `compress/flate`, v1.10.3 to v1.11.12.
    Klauspost1_10_3,
    /// klauspost's `compress/flate`, v1.11.13 to v1.12.1.
    Klauspost1_11_13,
    /// klauspost's `compress/flate`, v1.12.2.
    Klauspost1_12_2,
    /// klauspost's `compress/flate`, v1.12.3 to v1.13.6.
    Klauspost1_12_3,
    /// klauspost's `compress/flate`, v1.14.2; levels -2 to 6 also v1.14.1.
    Klauspost1_14_2,
    /// klauspost's `compress/flate`, v1.14.3 and v1.14.4.
    Klauspost1_14,
    /// klauspost's `compress/flate`, v1.15.0 to v1.15.9 (levels 7 to 9 to v1.15.13).
    Klauspost1_15_0,
    /// klauspost's `compress/flate`, v1.15.11 to v1.17.11 (levels 7 to 9 from v1.15.15 on).
    Klauspost1_15_11,
    /// klauspost's `compress/flate`, v1.18.0: differs at level 4 only.
    Klauspost1_18_0,
    /// klauspost's `compress/flate`, v1.18.2 to v1.19.2.
    Klauspost1_18_2,
    /// klauspost's `compress/flate`, v1.20.0 to v1.20.3: differs at levels 7 to 9 with a dictionary only.
    Klauspost1_20_0,
    /// klauspost's `compress/flate`, v1.20.4.
    Klauspost1_20_4,
    /// zlib at its usual settings: Java's `GZIPOutputStream`, Python's `gzip`, pigz. Levels 1 to 9.
    Zlib,
    /// GNU gzip. Levels 1 to 9, as one stream.
    Gzip,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Go,
        Self::Go1_27,
        Self::Klauspost1_10_3,
        Self::Klauspost1_11_13,
        Self::Klauspost1_12_2,
        Self::Klauspost1_12_3,
        Self::Klauspost1_14_2,
        Self::Klauspost1_14,
        Self::Klauspost1_15_0,
        Self::Klauspost1_15_11,
        Self::Klauspost1_18_0,
        Self::Klauspost1_18_2,
        Self::Klauspost1_20_0,
        Self::Klauspost1_20_4,
        Self::Zlib,
        Self::Gzip,
    ];

    /// The permanent identifier.
    pub fn id(self) -> u8 {
        match self {
            Self::Go => 1,
            Self::Go1_27 => 2,
            Self::Klauspost1_10_3 => 16,
            Self::Klauspost1_11_13 => 17,
            Self::Klauspost1_12_2 => 18,
            Self::Klauspost1_12_3 => 19,
            Self::Klauspost1_14_2 => 27,
            Self::Klauspost1_14 => 20,
            Self::Klauspost1_15_0 => 21,
            Self::Klauspost1_15_11 => 22,
            Self::Klauspost1_18_0 => 23,
            Self::Klauspost1_18_2 => 24,
            Self::Klauspost1_20_0 => 25,
            Self::Klauspost1_20_4 => 26,
            Self::Zlib => 40,
            Self::Gzip => 41,
        }
    }

    fn from_id(id: u8) -> Result<Self, RecipeError> {
        Self::ALL.into_iter().find(|family| family.id() == id).ok_or(RecipeError::Family { id })
    }
}

/// A family and a level that it has: -2 (Huffman only), 0 (stored) or 1 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Engine {
    family: Family,
    level: i8,
}

impl Engine {
    /// The engine of a level. -1, the default, becomes the level that the family means by it.
    pub fn new(family: Family, level: i8) -> Result<Self, RecipeError> {
        let level = match (level, family) {
            (-1, Family::Go | Family::Go1_27 | Family::Zlib | Family::Gzip) => 6,
            (-2 | 0, Family::Zlib | Family::Gzip) => {
                return Err(RecipeError::Level { family: family.id(), level: level.into() });
            }
            (-1, _) => 5,
            (-2 | 0..=9, _) => level,
            _ => return Err(RecipeError::Level { family: family.id(), level: level.into() }),
        };
        Ok(Self { family, level })
    }

    /// The family.
    pub fn family(self) -> Family {
        self.family
    }

    /// The level.
    pub fn level(self) -> i8 {
        self.level
    }
}

/// How the input was given to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// As one stream.
    Stream,
    /// In blocks that were compressed apart (pgzip), each with the last 16384 bytes of the one before as its dictionary.
    Blocks {
        /// The bytes of input of a block.
        size: u32,
    },
    /// In blocks that pigz compressed apart, each with the last 32768 bytes of the one before as its dictionary.
    Pigz {
        /// The bytes of input of a block.
        size: u32,
    },
    /// In blocks as pigz makes them with one thread: each is ended at a byte, and the encoder goes on.
    PigzSingle {
        /// The bytes of input of a block.
        size: u32,
    },
}

impl Framing {
    /// What pgzip does by default: blocks of 1 MiB.
    pub const PGZIP: Self = Self::Blocks { size: 1 << 20 };
    /// One stream that is flushed before it ends, as estargz writes the members of a layer: a block that is never full.
    pub const FLUSHED: Self = Self::Blocks { size: MAX_BLOCK };
    /// What pigz does by default: blocks of 128 KiB.
    pub const PIGZ: Self = Self::Pigz { size: 1 << 17 };
    /// What pigz does by default where it has one thread.
    pub const PIGZ_SINGLE: Self = Self::PigzSingle { size: 1 << 17 };

    /// The bytes of input of a block; 0 for a stream.
    pub fn size(self) -> u32 {
        match self {
            Self::Stream => 0,
            Self::Blocks { size } | Self::Pigz { size } | Self::PigzSingle { size } => size,
        }
    }

    fn id(self) -> u8 {
        match self {
            Self::Stream => 0,
            Self::Blocks { .. } => 1,
            Self::Pigz { .. } => 2,
            Self::PigzSingle { .. } => 3,
        }
    }

    /// The framing, if the family has it.
    fn read(id: u8, family: Family, rest: &mut Rest<'_>) -> Result<Self, RecipeError> {
        match (id, family) {
            (0, _) => Ok(Self::Stream),
            (2, Family::Zlib) => Ok(Self::Pigz { size: rest.block(MIN_PIGZ)? }),
            (3, Family::Zlib) => Ok(Self::PigzSingle { size: rest.block(MIN_PIGZ)? }),
            (1, family) if !matches!(family, Family::Zlib | Family::Gzip) => {
                Ok(Self::Blocks { size: rest.block(MIN_BLOCK)? })
            }
            _ => Err(RecipeError::Framing { id }),
        }
    }
}

/// What one gzip member was made by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// The encoder.
    pub engine: Engine,
    /// How it was fed.
    pub framing: Framing,
    /// The gzip header, verbatim.
    pub header: Vec<u8>,
}

impl Recipe {
    /// The bytes of the recipe.
    pub fn encode(&self) -> Vec<u8> {
        let level = (self.engine.level + 2).unsigned_abs();
        let mut bytes = vec![VERSION, self.engine.family.id(), level, self.framing.id()];
        if self.framing != Framing::Stream {
            bytes.extend_from_slice(&self.framing.size().to_le_bytes());
        }
        bytes.extend_from_slice(&(self.header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.header);
        bytes
    }

    /// Reads a recipe that is all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecipeError> {
        let mut rest = Rest { bytes, at: 0 };
        let [version, family, level, framing] = rest.take()?;
        if version != VERSION {
            return Err(RecipeError::Version { found: version });
        }
        let family = Family::from_id(family)?;
        let level = i16::from(level) - 2;
        let engine =
            i8::try_from(level).ok().filter(|&level| level != -1).and_then(|level| Engine::new(family, level).ok());
        let engine = engine.ok_or(RecipeError::Level { family: family.id(), level })?;
        let framing = Framing::read(framing, family, &mut rest)?;
        let length = u32::from_le_bytes(rest.take()?);
        if length as usize > MAX_HEADER {
            return Err(RecipeError::HeaderSize { length });
        }
        let expected = rest.at + length as usize;
        if expected != bytes.len() {
            return Err(RecipeError::Length { expected, found: bytes.len() });
        }
        Ok(Self { engine, framing, header: bytes[rest.at..].to_vec() })
    }
}

/// What is still to be read.
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    /// The size of a block.
    fn block(&mut self, least: u32) -> Result<u32, RecipeError> {
        let size = u32::from_le_bytes(self.take()?);
        if (least..=MAX_BLOCK).contains(&size) { Ok(size) } else { Err(RecipeError::BlockSize { size }) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecipeError> {
        let error = RecipeError::Length { expected: self.at + N, found: self.bytes.len() };
        let taken = *self.bytes[self.at..].first_chunk().ok_or(error)?;
        self.at += N;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(family: Family, level: i8, framing: Framing) -> Recipe {
        let engine = Engine::new(family, level).expect("the family has the level");
        Recipe { engine, framing, header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] }
    }

    #[test]
    fn every_recipe_comes_back_from_its_bytes() {
        let mut count = 0;
        for family in Family::ALL {
            let engines = (-2..=9).filter(|&level| level != -1).filter_map(|level| Engine::new(family, level).ok());
            let framings: &[Framing] = match family {
                Family::Zlib => &[Framing::Stream, Framing::PIGZ, Framing::PIGZ_SINGLE],
                Family::Gzip => &[Framing::Stream],
                _ => &[Framing::Stream, Framing::PGZIP],
            };
            for (engine, &framing) in engines.flat_map(|engine| framings.iter().map(move |framing| (engine, framing))) {
                let header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
                let recipe = Recipe { engine, framing, header };
                assert_eq!(Recipe::decode(&recipe.encode()), Ok(recipe));
                count += 1;
            }
        }
        assert_eq!(count, 14 * 11 * 2 + 9 * 3 + 9);
    }

    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let go = recipe(Family::Go, -1, Framing::Stream).encode();
        assert_eq!(go, [&[1, 1, 8, 0, 10, 0, 0, 0], &header[..]].concat());
        let pgzip = recipe(Family::Klauspost1_18_2, -1, Framing::PGZIP).encode();
        assert_eq!(pgzip, [&[1, 24, 7, 1, 0, 0, 16, 0, 10, 0, 0, 0], &header[..]].concat());
        let pigz = recipe(Family::Zlib, -1, Framing::PIGZ).encode();
        assert_eq!(pigz, [&[1, 40, 8, 2, 0, 0, 2, 0, 10, 0, 0, 0], &header[..]].concat());
        let single = recipe(Family::Zlib, -1, Framing::PIGZ_SINGLE).encode();
        assert_eq!((single[3], &single[4..]), (3, &pigz[4..]));
        let ids = Family::ALL.map(Family::id);
        assert_eq!(ids, [1, 2, 16, 17, 18, 19, 27, 20, 21, 22, 23, 24, 25, 26, 40, 41]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let good = recipe(Family::Go, 6, Framing::PGZIP).encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Recipe::decode(&bytes).expect_err("it is not a recipe")
        };
        assert_eq!(with(0, 2), RecipeError::Version { found: 2 });
        assert_eq!(with(1, 3), RecipeError::Family { id: 3 });
        assert_eq!(with(2, 12), RecipeError::Level { family: 1, level: 10 });
        assert_eq!(with(2, 1), RecipeError::Level { family: 1, level: -1 });
        assert_eq!(with(3, 4), RecipeError::Framing { id: 4 });
        assert_eq!(with(6, 0), RecipeError::BlockSize { size: 0 });
        assert_eq!(with(7, 0x40), RecipeError::BlockSize { size: (1 << 30) + (1 << 20) });
        assert_eq!(with(10, 1), RecipeError::HeaderSize { length: (1 << 16) + 10 });
        assert_eq!(with(8, 9), RecipeError::Length { expected: 21, found: 22 });
        // Each framing is of its families.
        for (family, framing) in [(1, 2), (40, 1), (41, 1), (41, 2), (41, 3)] {
            let mut bytes = good.clone();
            (bytes[1], bytes[3]) = (family, framing);
            assert_eq!(Recipe::decode(&bytes), Err(RecipeError::Framing { id: framing }), "{family}");
        }
        let mut small = recipe(Family::Zlib, 6, Framing::Pigz { size: MIN_PIGZ }).encode();
        assert!(Recipe::decode(&small).is_ok());
        small[4..8].copy_from_slice(&(MIN_PIGZ - 1).to_le_bytes());
        assert_eq!(Recipe::decode(&small), Err(RecipeError::BlockSize { size: MIN_PIGZ - 1 }));
        for length in 0..good.len() {
            let error = Recipe::decode(&good[..length]).expect_err("it is cut");
            assert!(matches!(error, RecipeError::Length { found, .. } if found == length), "{length}: {error}");
        }
    }
}
