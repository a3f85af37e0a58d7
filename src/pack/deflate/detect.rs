//! Which encoder a gzip stream is by: first by its header, then by a trial on its beginning.

use super::encoder::Encoder;
use super::header::GzipHeader;
use super::recipe::{Engine, Family, Framing, Recipe};

/// What klauspost's gzip and pgzip write for a time that was not set: that of the year 1, cut to 32 bits.
const UNSET_TIME: u32 = 0x886e_0900;
/// The system that all encoders in Go name, and those of Python and, from 16 on, Java.
const UNKNOWN_SYSTEM: u8 = 255;
/// The system that Java before 16 names.
const FAT: u8 = 0;
/// The system that zlib itself names, and many programs that use it.
const UNIX: u8 = 3;

/// The recipes that a header allows, the likeliest first. Each is another encoding of some content; which one it is, only a
/// trial can tell. None: no encoder of this room writes such a header.
pub fn candidates(header: &GzipHeader) -> Vec<Recipe> {
    let klauspost = header.modified() == UNSET_TIME && header.system() == UNKNOWN_SYSTEM;
    let families: &[Family] = match header.system() {
        UNKNOWN_SYSTEM if klauspost => &[
            Family::Klauspost1_18_2,
            Family::Klauspost1_15_11,
            Family::Klauspost1_20_4,
            Family::Klauspost1_15_0,
            Family::Klauspost1_14,
            Family::Klauspost1_12_3,
            Family::Klauspost1_20_0,
            Family::Klauspost1_18_0,
        ],
        UNKNOWN_SYSTEM => &[Family::Go, Family::Zlib, Family::Go1_27],
        FAT | UNIX => &[Family::Zlib],
        _ => &[],
    };
    let levels: &[i8] = match header.extra_flags() {
        4 => &[1],
        2 => &[9],
        // First the default.
        _ if klauspost => &[5, 6, 4, 3, 2, 7, 8, -2, 0],
        _ => &[6, 5, 4, 3, 2, 7, 8, 9, 1, -2, 0],
    };
    let framings: &[Framing] = if klauspost { &[Framing::PGZIP, Framing::Stream] } else { &[Framing::Stream] };
    let mut recipes = Vec::new();
    for &level in levels {
        for &family in families {
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
        Family::Go | Family::Go1_27 | Family::Klauspost1_18_2 | Family::Zlib => true,
        // It differs from v1.15.0 only in how it cuts long matches.
        Family::Klauspost1_14 => (1..=6).contains(&level),
        Family::Klauspost1_18_0 => level == 4,
        Family::Klauspost1_20_0 => level >= 7 && framing != Framing::Stream,
        Family::Klauspost1_12_3 => level > 0,
        Family::Klauspost1_15_0 | Family::Klauspost1_15_11 | Family::Klauspost1_20_4 => level != 0,
    }
}

/// The candidates that agree with the beginning of a stream, in the same order. `content` is the beginning of what `gzip`
/// inflates to. A megabyte or two of it is enough to tell encoders apart; framings differ from the end of the first block
/// on. Whether a recipe is right is known only when all of the stream has been made again.
pub fn detect(gzip: &[u8], content: &[u8]) -> Vec<Recipe> {
    let Ok(header) = GzipHeader::parse(gzip) else { return Vec::new() };
    let mut recipes = candidates(&header);
    recipes.retain(|recipe| agrees(recipe, gzip, content));
    recipes
}

/// The output differs from the stream.
struct Differs;

/// True where what the recipe makes of `content` is the beginning of `gzip`, as far as it goes. `content` need not be all of
/// the content, nor `gzip` all of the stream.
pub fn agrees(recipe: &Recipe, gzip: &[u8], content: &[u8]) -> bool {
    let mut rest = gzip;
    let mut compare = |made: &[u8]| {
        let (expected, later) = rest.split_at(made.len().min(rest.len()));
        rest = later;
        if made.starts_with(expected) { Ok(()) } else { Err(Differs) }
    };
    Encoder::new(recipe).write(content, &mut compare).is_ok()
}
