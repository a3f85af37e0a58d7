//! Which encoder a gzip stream is by: first by its header, then by a trial on its beginning.

use std::{collections::HashMap, vec};

use flate2::{Crc, Decompress, FlushDecompress};

use super::bits::BitWriter;
use super::compressor::Compressor;
use super::decode::first_tokens;
use super::encoder::Encoder;
use super::header::GzipHeader;
use super::recipe::{Engine, Family, Framing, MIN_BLOCK, MIN_PIGZ, Recipe};
use super::symbols::WINDOW;
use super::tokens::DeflateToken;

/// What klauspost's gzip and pgzip write for a time that was not set: that of the year 1, cut to 32 bits.
const UNSET_TIME: u32 = 0x886e_0900;
/// The system that all encoders in Go name, and those of Python and, from 16 on, Java.
const UNKNOWN_SYSTEM: u8 = 255;
/// The system that Java before 16 names.
const FAT: u8 = 0;
/// The system that zlib itself names, and many programs that use it, GNU gzip and pigz among them.
const UNIX: u8 = 3;
/// What a flushed block ends with.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// The most flushes by which sizes of blocks are sought.
const MOST_FLUSHES: usize = 16;
/// Content after which every engine has written a block, or found tokens: two windows and a byte.
const TRIAL: usize = 2 * WINDOW + 1;
/// Sizes of pgzip's blocks that are tried where the beginning of a stream does not show one.
const LARGE_BLOCKS: [u32; 6] = [2 << 20, 3 << 20, 4 << 20, 6 << 20, 8 << 20, 16 << 20];

/// klauspost's, the likeliest first.
const KLAUSPOST: [Family; 12] = [
    Family::Klauspost1_18_2,
    Family::Klauspost1_15_11,
    Family::Klauspost1_20_4,
    Family::Klauspost1_15_0,
    Family::Klauspost1_14,
    Family::Klauspost1_12_3,
    Family::Klauspost1_10_3,
    Family::Klauspost1_14_2,
    Family::Klauspost1_20_0,
    Family::Klauspost1_18_0,
    Family::Klauspost1_12_2,
    Family::Klauspost1_11_13,
];

/// The recipes that a header allows, the likeliest first, with blocks of the usual sizes. Each is another encoding of some content;
/// which one it is, only a trial can tell. None: no encoder of this room writes such a header.
pub fn candidates(header: &GzipHeader) -> Vec<Recipe> {
    let klauspost = header.modified() == UNSET_TIME && header.system() == UNKNOWN_SYSTEM;
    let usual: &[Family] = match header.system() {
        UNKNOWN_SYSTEM if klauspost => &KLAUSPOST,
        UNKNOWN_SYSTEM => &[Family::Go, Family::Zlib, Family::Go1_27],
        UNIX => &[Family::Zlib, Family::Gzip],
        FAT => &[Family::Zlib],
        _ => &[],
    };
    let levels: &[i8] = match header.extra_flags() {
        4 => &[1],
        2 => &[9],
        // First the default.
        _ if klauspost => &[5, 6, 4, 3, 2, 7, 8, -2, 0],
        _ => &[6, 5, 4, 3, 2, 7, 8, 9, 1, -2, 0],
    };
    let mut recipes = recipes(header, usual, levels);
    if header.system() == UNKNOWN_SYSTEM && !klauspost {
        // A program may set a time.
        recipes.extend(self::recipes(header, &KLAUSPOST, levels));
    }
    recipes
}

fn recipes(header: &GzipHeader, families: &[Family], levels: &[i8]) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for &level in levels {
        for &family in families {
            let framings: &[Framing] = match family {
                Family::Zlib if header.system() == UNIX => &[Framing::Stream, Framing::PIGZ, Framing::PIGZ_SINGLE],
                Family::Go | Family::Go1_27 | Family::Gzip | Family::Zlib => &[Framing::Stream],
                _ => &[Framing::PGZIP, Framing::Stream],
            };
            for &framing in framings.iter().filter(|&&framing| is_own(family, level, framing)) {
                let engine = Engine::new(family, level);
                recipes.extend(engine.map(|engine| Recipe { engine, framing, header: header.bytes().to_vec() }));
            }
        }
    }
    recipes
}

/// False where another family of the list makes the same bytes.
fn is_own(family: Family, level: i8, framing: Framing) -> bool {
    match family {
        Family::Go | Family::Go1_27 | Family::Klauspost1_18_2 | Family::Zlib | Family::Gzip => true,
        // It differs from v1.15.0 only in how it cuts long matches.
        Family::Klauspost1_14_2 => (1..=9).contains(&level),
        Family::Klauspost1_14 => (1..=6).contains(&level),
        Family::Klauspost1_18_0 => level == 4,
        Family::Klauspost1_20_0 => level >= 7 && framing != Framing::Stream,
        Family::Klauspost1_12_3 => level > 0,
        // Levels 7 to 9 are those of v1.12.3.
        Family::Klauspost1_10_3 | Family::Klauspost1_11_13 | Family::Klauspost1_12_2 => {
            level == -2 || (1..=6).contains(&level)
        }
        Family::Klauspost1_15_0 | Family::Klauspost1_15_11 | Family::Klauspost1_20_4 => level != 0,
    }
}

/// The recipes that agree with the beginning of a stream, the likeliest first. `content` is the beginning of what `gzip` inflates
/// to. A megabyte or two of it is enough to tell encoders apart; framings differ from the end of the first block on, and sizes of
/// blocks follow from where the first one ends. Whether a recipe is right is known only when all of the stream has been made
/// again.
pub fn detect<'a>(gzip: &'a [u8], content: &'a [u8]) -> Detection<'a> {
    let header = GzipHeader::parse(gzip).ok();
    let usual = header.as_ref().map(candidates).unwrap_or_default();
    let deflate = header.map_or(&[][..], |header| &gzip[header.bytes().len()..]);
    let tokens = first_tokens(deflate, TRIAL);
    Detection {
        gzip,
        deflate,
        content,
        next: usual.clone().into_iter(),
        usual,
        tokens,
        begun: HashMap::new(),
        found: Some(Vec::new()),
    }
}

/// What [`detect`] finds: each recipe is tried when it is asked for.
#[derive(Debug)]
pub struct Detection<'a> {
    gzip: &'a [u8],
    deflate: &'a [u8],
    content: &'a [u8],
    usual: Vec<Recipe>,
    next: vec::IntoIter<Recipe>,
    /// The tokens of the first block.
    tokens: Vec<DeflateToken>,
    /// Whether an engine makes the beginning of a stream.
    begun: HashMap<Engine, bool>,
    /// The engines that were found, as long as blocks of unusual sizes were not tried.
    found: Option<Vec<Engine>>,
}

impl Iterator for Detection<'_> {
    type Item = Recipe;

    fn next(&mut self) -> Option<Recipe> {
        loop {
            while let Some(recipe) = self.next.next() {
                if self.is_of(&recipe) {
                    match &mut self.found {
                        Some(found) if recipe.framing == Framing::Stream => found.push(recipe.engine),
                        // Where blocks of a usual size do, others need not be tried.
                        found => *found = None,
                    }
                    return Some(recipe);
                }
            }
            let streams = self.found.take()?;
            self.next = self.sized(&streams).into_iter();
        }
    }
}

impl Detection<'_> {
    /// Whether a recipe agrees with all that is known of the stream.
    fn is_of(&mut self, recipe: &Recipe) -> bool {
        let size = recipe.framing.size() as usize;
        // Within the first block framings do not differ, so what fails there need not be tried with others.
        let is_like_a_stream = self.content.len() > TRIAL && (size == 0 || size > TRIAL);
        (!is_like_a_stream || self.begins(recipe.engine)) && agrees(recipe, self.gzip, self.content)
    }

    /// Whether what an engine makes of the first bytes begins the stream: what is written by then, or what is to be.
    fn begins(&mut self, engine: Engine) -> bool {
        let Self { deflate, content, tokens, begun, .. } = self;
        *begun.entry(engine).or_insert_with(|| {
            let (mut compressor, mut bits) = (Compressor::new(engine, &[]), BitWriter::default());
            compressor.write(&content[..TRIAL], &mut bits);
            bits.settle();
            match bits.complete() {
                [] => begin_alike(compressor.tokens(), tokens),
                made => begin_alike(made, deflate),
            }
        })
    }

    /// The recipes with blocks of unusual sizes; `streams` are the engines that agree as one stream.
    fn sized(&self, streams: &[Engine]) -> Vec<Recipe> {
        let Self { deflate, content, usual, .. } = self;
        let flushes = flushes(deflate, content.len());
        let sized = usual.iter().flat_map(|recipe| {
            let sizes = sizes(recipe, &flushes, content.len()).into_iter();
            sizes.map(|framing| Recipe { framing, ..recipe.clone() })
        });
        let is_possible = |recipe: &Recipe| match recipe.framing {
            // A block that is not over differs in nothing from a stream.
            Framing::Blocks { size } if size as usize > content.len() && flushes.is_empty() => {
                streams.contains(&recipe.engine)
            }
            _ => true,
        };
        sized.filter(is_possible).collect()
    }
}

/// True where one is the beginning of the other.
fn begin_alike<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// The framing with unusual sizes of blocks that a stream with these flushes may have, of which `length` bytes are known.
fn sizes(recipe: &Recipe, flushes: &[u32], length: usize) -> Vec<Framing> {
    let framing = recipe.framing;
    let (least, mut sizes): (u32, Vec<u32>) = match framing {
        Framing::Stream if matches!(recipe.engine.family(), Family::Go | Family::Go1_27) => {
            return vec![Framing::FLUSHED];
        }
        Framing::Stream => return Vec::new(),
        // The only flush is that of the end.
        Framing::Blocks { .. } if flushes.first().is_none_or(|&end| end as usize == length) => {
            (MIN_BLOCK, LARGE_BLOCKS.to_vec())
        }
        // One may be none, but content.
        Framing::Blocks { .. } => (MIN_BLOCK, flushes[..flushes.len().min(2)].to_vec()),
        // Not each of pigz's blocks ends with a flush, but each flush ends one.
        Framing::Pigz { .. } | Framing::PigzSingle { .. } => {
            let common = flushes.iter().copied().reduce(common_divisor).unwrap_or(0);
            (MIN_PIGZ, [1, 2, 3].map(|blocks| common / blocks).to_vec())
        }
    };
    sizes.retain(|&size| size >= least && size != framing.size());
    let with = |size| match framing {
        Framing::Stream => Framing::Stream,
        Framing::Blocks { .. } => Framing::Blocks { size },
        Framing::Pigz { .. } => Framing::Pigz { size },
        Framing::PigzSingle { .. } => Framing::PigzSingle { size },
    };
    sizes.into_iter().map(with).collect()
}

fn common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How much content is before each of the first flushes of a deflate stream that inflates to `most` bytes and more.
fn flushes(deflate: &[u8], most: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let mut inflate = Decompress::new(false);
    let mut buffer = vec![0; 64 << 10];
    let mut fed = 0;
    let ends = deflate.windows(FLUSHED.len()).enumerate().filter(|(_, bytes)| **bytes == FLUSHED);
    for (at, _) in ends.take(MOST_FLUSHES) {
        let end = at + FLUSHED.len();
        loop {
            let (read, made) = (inflate.total_in(), inflate.total_out());
            let outcome = inflate.decompress(&deflate[fed..end], &mut buffer, FlushDecompress::None);
            fed += usize::try_from(inflate.total_in() - read).unwrap_or(0);
            if outcome.is_err() || inflate.total_out() > most as u64 {
                return found;
            }
            if inflate.total_in() == read && inflate.total_out() == made {
                break;
            }
        }
        found.extend(u32::try_from(inflate.total_out()).ok());
    }
    found
}

/// The output differs from the stream.
struct Differs;

/// True where what the recipe makes of `content` is the beginning of `gzip`, as far as it goes. `content` need not be all of
/// the content, nor `gzip` all of the stream; where both are, it must be all of `gzip`.
pub fn agrees(recipe: &Recipe, gzip: &[u8], content: &[u8]) -> bool {
    let mut rest = gzip;
    let mut compare = |made: &[u8]| {
        let (expected, later) = rest.split_at(made.len().min(rest.len()));
        rest = later;
        if made.starts_with(expected) { Ok(()) } else { Err(Differs) }
    };
    let mut encoder = Encoder::new(recipe);
    if encoder.write(content, &mut compare).is_err() {
        return false;
    }
    !is_whole(gzip, content) || encoder.finish(&mut compare).is_ok() && rest.is_empty()
}

/// True where `gzip` ends with the trailer that `content` has.
fn is_whole(gzip: &[u8], content: &[u8]) -> bool {
    let Some((rest, size)) = gzip.split_last_chunk() else { return false };
    let Some((_, checksum)) = rest.split_last_chunk() else { return false };
    // The size alone is wrong nearly always where the content is a part.
    if u32::from_le_bytes(*size) != content.len() as u32 {
        return false;
    }
    let mut computed = Crc::new();
    computed.update(content);
    u32::from_le_bytes(*checksum) == computed.sum()
}
