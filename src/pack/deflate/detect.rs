//! Which encoder a gzip stream is by: first by its header, then by a trial on its beginning.

use std::collections::HashMap;

use flate2::{Crc, Decompress, FlushDecompress};

use super::encoder::Encoder;
use super::header::GzipHeader;
use super::recipe::{Engine, Family, Framing, MIN_BLOCK, MIN_PIGZ, Recipe};

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
/// Sizes of pgzip's blocks that are tried where the beginning of a stream does not show one.
const LARGE_BLOCKS: [u32; 6] = [2 << 20, 3 << 20, 4 << 20, 6 << 20, 8 << 20, 16 << 20];

/// klauspost's, the likeliest first.
const KLAUSPOST: [Family; 8] = [
    Family::Klauspost1_18_2,
    Family::Klauspost1_15_11,
    Family::Klauspost1_20_4,
    Family::Klauspost1_15_0,
    Family::Klauspost1_14,
    Family::Klauspost1_12_3,
    Family::Klauspost1_20_0,
    Family::Klauspost1_18_0,
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
        Family::Klauspost1_14 => (1..=6).contains(&level),
        Family::Klauspost1_18_0 => level == 4,
        Family::Klauspost1_20_0 => level >= 7 && framing != Framing::Stream,
        Family::Klauspost1_12_3 => level > 0,
        Family::Klauspost1_15_0 | Family::Klauspost1_15_11 | Family::Klauspost1_20_4 => level != 0,
    }
}

/// The recipes that agree with the beginning of a stream, the likeliest first. `content` is the beginning of what `gzip` inflates
/// to. A megabyte or two of it is enough to tell encoders apart; framings differ from the end of the first block on, and sizes of
/// blocks follow from where the first one ends. Whether a recipe is right is known only when all of the stream has been made
/// again.
pub fn detect(gzip: &[u8], content: &[u8]) -> Vec<Recipe> {
    let Ok(header) = GzipHeader::parse(gzip) else { return Vec::new() };
    let candidates = candidates(&header);
    // Within the first block framings do not differ, so what fails there need not be tried with others.
    let first = &content[..content.len().min(MIN_BLOCK as usize)];
    let mut begun: HashMap<Engine, bool> = HashMap::new();
    let mut agreeing = |recipe: &Recipe| {
        let stream = || agrees(&Recipe { framing: Framing::Stream, ..recipe.clone() }, gzip, first);
        let begins = first.len() == content.len() || *begun.entry(recipe.engine).or_insert_with(stream);
        begins && agrees(recipe, gzip, content)
    };
    let mut recipes: Vec<Recipe> = candidates.iter().filter(|recipe| agreeing(recipe)).cloned().collect();
    if recipes.iter().all(|recipe| recipe.framing == Framing::Stream) {
        let flushes = flushes(&gzip[header.bytes().len()..], content.len());
        let sized = candidates.iter().flat_map(|recipe| {
            let sizes = sizes(recipe, &flushes, content.len()).into_iter();
            sizes.map(|framing| Recipe { framing, ..recipe.clone() })
        });
        // A block that is not over differs in nothing from a stream.
        let streams: Vec<Engine> = recipes.iter().map(|recipe| recipe.engine).collect();
        let sized = sized.filter(|recipe| match recipe.framing {
            Framing::Blocks { size } if size as usize > content.len() && flushes.is_empty() => {
                streams.contains(&recipe.engine)
            }
            _ => agreeing(recipe),
        });
        recipes.extend(sized.collect::<Vec<_>>());
    }
    recipes
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
