//! Encoders make the bytes of the originals.
//!
//! What the originals make is kept as digests in `golden.txt`, one for each engine and framing over all samples. The tests
//! under `originals` ask the originals themselves.

mod originals;
mod samples;

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::sync::LazyLock;

use airlift::pack::deflate::{
    CheckpointError, Checkpoints, Encoder, Engine, Family, Framing, GzipHeader, Recipe, StreamSegment, candidates,
    detect,
};
use sha2::{Digest as _, Sha256};

use crate::support::peers;

/// The blocks of the samples: small ones, so that there are several without many bytes.
const BLOCK: u32 = 65_536;
const BLOCKS: Framing = Framing::Blocks { size: BLOCK };
const PIGZ: Framing = Framing::Pigz { size: BLOCK };
const PIGZ_SINGLE: Framing = Framing::PigzSingle { size: BLOCK };
const LEVELS: [i8; 11] = [-2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// The seed of a random test: that of `AIRLIFT_SEED`, or another in each run.
fn seed() -> u64 {
    let given = std::env::var("AIRLIFT_SEED").ok().map(|text| text.parse().expect("AIRLIFT_SEED is a number"));
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20);
    peers::tell(&format!("AIRLIFT_SEED={seed}"));
    seed
}

/// The gzip header of the samples.
fn header(level: i8) -> Vec<u8> {
    let flags = match level {
        9 => 2,
        1 => 4,
        _ => 0,
    };
    vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, flags, 255]
}

fn recipe(family: Family, level: i8, framing: Framing) -> Recipe {
    let engine = Engine::new(family, level).expect("the family has the level");
    Recipe { engine, framing, header: header(level) }
}

/// Encodes, with the input given in pieces of a size.
fn encode(recipe: &Recipe, input: &[u8], piece: usize) -> Vec<u8> {
    let mut output = Vec::new();
    let mut sink = |bytes: &[u8]| {
        output.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    };
    let mut encoder = Encoder::new(recipe);
    for bytes in input.chunks(piece) {
        let Ok(()) = encoder.write(bytes, &mut sink);
    }
    let Ok(_) = encoder.finish(&mut sink);
    output
}

fn inflate(gzip: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    flate2::read::MultiGzDecoder::new(gzip).read_to_end(&mut output).expect("it is a gzip stream");
    output
}

/// The samples for one stream, and for blocks: made once, since that takes longer than to compress them.
static STREAM_SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(samples::samples);
static BLOCK_SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| samples::block_samples(BLOCK as usize));

/// The digest of the digests of what an encoder makes of all samples.
fn digest_of(framing: Framing, mut make: impl FnMut(&[u8]) -> Vec<u8>) -> String {
    let samples = match framing {
        Framing::Stream => &*STREAM_SAMPLES,
        _ => &*BLOCK_SAMPLES,
    };
    let mut all = Sha256::new();
    for sample in samples {
        all.update(Sha256::digest(make(sample)));
    }
    all.finalize()[..12].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn name(framing: Framing) -> &'static str {
    match framing {
        Framing::Blocks { .. } => "blocks",
        Framing::Pigz { .. } => "pigz",
        Framing::PigzSingle { .. } => "pigz-single",
        _ => "stream",
    }
}

/// The levels and framings of a family that the golden file has.
fn covered(family: Family) -> Vec<(i8, Framing)> {
    let all = |levels: &[i8], framings: &[Framing]| {
        levels.iter().flat_map(|&level| framings.iter().map(move |&framing| (level, framing))).collect::<Vec<_>>()
    };
    match family {
        Family::Zlib => all(&LEVELS[2..], &[Framing::Stream, PIGZ, PIGZ_SINGLE]),
        Family::Gzip => all(&LEVELS[2..], &[Framing::Stream]),
        Family::Go | Family::Go1_27 => all(&LEVELS, &[Framing::Stream]),
        _ => all(&LEVELS, &[Framing::Stream, BLOCKS]),
    }
}

/// A line of `golden.txt`.
fn line(family: Family, level: i8, framing: Framing, digest: &str) -> String {
    format!("{family:?} {level} {} {digest}", name(framing))
}

fn golden(family: Family) {
    let lines = include_str!("golden.txt");
    for (level, framing) in covered(family) {
        let recipe = recipe(family, level, framing);
        let line = line(family, level, framing, &digest_of(framing, |sample| encode(&recipe, sample, 1 << 20)));
        assert!(lines.lines().any(|expected| expected == line), "not in golden.txt:\n{line}");
    }
}

#[test]
fn go_makes_its_golden_bytes() {
    golden(Family::Go);
}

#[test]
fn go_1_27_makes_its_golden_bytes() {
    golden(Family::Go1_27);
}

#[test]
fn zlib_makes_its_golden_bytes() {
    golden(Family::Zlib);
}

#[test]
fn gzip_makes_its_golden_bytes() {
    golden(Family::Gzip);
}

#[test]
fn klauspost_makes_its_golden_bytes() {
    for family in Family::ALL.into_iter().filter(|&family| is_klauspost(family)) {
        golden(family);
    }
}

fn is_klauspost(family: Family) -> bool {
    !matches!(family, Family::Go | Family::Go1_27 | Family::Zlib | Family::Gzip)
}

#[test]
fn every_golden_line_is_of_an_engine_that_is_covered() {
    let expected: usize = Family::ALL.into_iter().map(|family| covered(family).len()).sum();
    assert_eq!(include_str!("golden.txt").lines().count(), expected);
}

#[test]
fn what_is_encoded_inflates_to_the_input_however_it_was_cut() {
    let mut random = samples::Random(seed());
    for family in Family::ALL {
        for (level, framing) in covered(family) {
            let largest = 64 << random.below(12);
            let size = random.below(largest);
            let input = samples::mixture(random.next(), size);
            let recipe = recipe(family, level, framing);
            let whole = encode(&recipe, &input, input.len().max(1));
            assert_eq!(inflate(&whole), input, "{recipe:?}, {size} bytes");
            let piece = 1 + random.below(9000);
            assert!(encode(&recipe, &input, piece) == whole, "{recipe:?}, {size} bytes in pieces of {piece}");
        }
    }
}

/// The recipe of a stream as the family's own gzip would begin it.
fn own_recipe(family: Family, level: i8, framing: Framing) -> Recipe {
    let mut recipe = recipe(family, level, framing);
    if is_klauspost(family) {
        recipe.header[4..8].copy_from_slice(&0x886e_0900_u32.to_le_bytes());
    }
    if family == Family::Gzip || matches!(framing, Framing::Pigz { .. } | Framing::PigzSingle { .. }) {
        recipe.header[9] = 3;
    }
    recipe
}

/// Asserts that among the recipes found by the beginning of a stream one makes all of it.
fn assert_detected(recipe: &Recipe, content: &[u8], beginning: usize) {
    let gzip = encode(recipe, content, content.len());
    let found: Vec<Recipe> = detect(&gzip, &content[..beginning]).collect();
    let right = found.iter().any(|other| encode(other, content, content.len()) == gzip);
    assert!(right, "for {recipe:?} only these were found: {found:?}");
}

#[test]
fn an_engine_is_found_by_the_beginning_of_its_stream() {
    let content = samples::mixture(3, 100_000);
    for family in Family::ALL {
        for (level, _) in covered(family).into_iter().filter(|&(_, framing)| framing == Framing::Stream) {
            assert_detected(&own_recipe(family, level, Framing::Stream), &content, 80_000);
        }
    }
}

#[test]
fn a_framing_is_found_once_a_block_has_ended() {
    let content = samples::mixture(4, 1_250_000);
    for (family, level) in [(Family::Klauspost1_15_11, -1), (Family::Klauspost1_18_2, -1), (Family::Klauspost1_20_4, 1)]
    {
        for framing in [Framing::PGZIP, Framing::Stream] {
            let recipe = own_recipe(family, level, framing);
            let gzip = encode(&recipe, &content, content.len());
            let found: Vec<Recipe> = detect(&gzip, &content[..1_200_000]).collect();
            assert_eq!(found.first().map(|first| first.framing), Some(framing), "for {recipe:?}");
            // Larger blocks than what is known may be a stream.
            let possible = |other: Framing| other == framing || framing == Framing::Stream && other.size() > 1_200_000;
            assert!(found.iter().all(|other| possible(other.framing)), "{found:?} found for {recipe:?}");
        }
    }
}

#[test]
fn blocks_of_any_size_are_found() {
    let content = samples::mixture(5, 420_000);
    let klauspost = |size| own_recipe(Family::Klauspost1_18_2, 5, Framing::Blocks { size });
    let pigz = |level, framing| own_recipe(Family::Zlib, level, framing);
    let sizes = [16_385, 65_536, 100_000, 250_000];
    let recipes = sizes.map(klauspost).into_iter().chain([
        pigz(6, Framing::PIGZ),
        pigz(1, Framing::PIGZ_SINGLE),
        pigz(6, Framing::Pigz { size: 65_536 }),
        pigz(2, Framing::Pigz { size: 50_000 }),
    ]);
    for recipe in recipes {
        assert_detected(&recipe, &content, 400_000);
        let gzip = encode(&recipe, &content, content.len());
        let found: Vec<Recipe> = detect(&gzip, &content[..content.len() - 1]).collect();
        assert!(found.iter().any(|found| found.framing == recipe.framing), "{found:?} for {recipe:?}");
    }
    // The first block is not over where the beginning ends.
    let content = samples::mixture(6, 2_300_000);
    assert_detected(&klauspost(2 << 20), &content, 1_200_000);
}

#[test]
fn a_stream_that_is_flushed_before_its_end_is_found() {
    let content = samples::mixture(8, 1_300_000);
    let recipe = own_recipe(Family::Go, 9, Framing::FLUSHED);
    let gzip = encode(&recipe, &content, content.len());
    assert_eq!(detect(&gzip, &content).collect::<Vec<_>>(), std::slice::from_ref(&recipe));
    // Of a part nobody can say how it ends.
    let found = detect(&gzip, &content[..1_200_000]).filter(|found| found.engine == recipe.engine);
    let framings: Vec<Framing> = found.map(|found| found.framing).collect();
    assert_eq!(framings, [Framing::Stream, Framing::FLUSHED]);
}

#[test]
fn of_a_whole_stream_only_recipes_that_make_it_are_found() {
    let content = samples::mixture(7, 9000);
    for recipe in [own_recipe(Family::Klauspost1_15_11, 3, BLOCKS), own_recipe(Family::Gzip, 6, Framing::Stream)] {
        let gzip = encode(&recipe, &content, content.len());
        let found: Vec<Recipe> = detect(&gzip, &content).collect();
        assert!(!found.is_empty(), "nothing found for {recipe:?}");
        assert!(found.iter().all(|other| encode(other, &content, content.len()) == gzip), "{found:?} for {recipe:?}");
    }
}

#[test]
fn the_header_decides_what_is_tried_first() {
    let first = |recipe: &Recipe| {
        let header = GzipHeader::parse(&recipe.header).expect("it is a header");
        let first = candidates(&header).swap_remove(0);
        (first.engine.family(), first.engine.level(), first.framing)
    };
    let go = |level| first(&own_recipe(Family::Go, level, Framing::Stream));
    assert_eq!(go(6), (Family::Go, 6, Framing::Stream));
    assert_eq!(go(1), (Family::Go, 1, Framing::Stream));
    assert_eq!(go(9), (Family::Go, 9, Framing::Stream));
    let podman = first(&own_recipe(Family::Klauspost1_15_11, 5, Framing::PGZIP));
    assert_eq!((podman.1, podman.2), (5, Framing::PGZIP));
    let mut other = own_recipe(Family::Go, 6, Framing::Stream);
    other.header[9] = 11;
    let mut java = own_recipe(Family::Zlib, 6, Framing::Stream);
    java.header[9] = 0;
    assert_eq!(first(&java), (Family::Zlib, 6, Framing::Stream));
    assert!(candidates(&GzipHeader::parse(&other.header).expect("it is a header")).is_empty());
}

#[test]
fn no_engine_is_found_for_the_stream_of_another_encoder() {
    let content = samples::mixture(5, 300_000);
    let mut encoder = flate2::write::DeflateEncoder::new(header(6), flate2::Compression::default());
    encoder.write_all(&content).expect("memory takes all");
    let gzip = encoder.finish().expect("memory takes all");
    assert_eq!(detect(&gzip, &content).next(), None);
}

/// Encodes each segment on its own, with the content given in pieces of a size.
fn encode_segments(recipe: &Recipe, checkpoints: &Checkpoints, content: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let cut = |range: std::ops::Range<u64>| {
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(content.len());
        &content[usize::try_from(range.start).expect("it is within the content")..end]
    };
    let segment = |number| {
        let plan = checkpoints.plan(number).expect("there is such a segment");
        let mut output = Vec::new();
        let mut sink = |bytes: &[u8]| {
            output.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let mut segment = StreamSegment::new(recipe, checkpoints, number, cut(plan.history))
            .expect("the checkpoint is of the recipe");
        let mut complete = false;
        for bytes in cut(plan.content.clone()).chunks(piece) {
            Ok(complete) = segment.write(bytes, &mut sink);
        }
        // Only where the content ends before the plan does is there something to finish.
        assert!(complete || plan.content.end >= content.len() as u64, "segment {number}");
        if !complete {
            let Ok(()) = segment.finish(&mut sink);
        }
        output
    };
    (0..checkpoints.segments()).map(segment).collect()
}

#[test]
fn segments_that_are_made_apart_are_the_stream() {
    let content = samples::mixture(6, 1_500_000);
    let engines = [
        (Family::Go, 4, Framing::Stream),
        (Family::Go, 6, Framing::Stream),
        (Family::Go, 9, Framing::Stream),
        (Family::Klauspost1_18_2, 5, BLOCKS),
        (Family::Klauspost1_15_0, 9, BLOCKS),
        (Family::Zlib, 6, PIGZ),
        (Family::Zlib, 1, PIGZ),
    ];
    for (family, level, framing) in engines {
        let recipe = recipe(family, level, framing);
        let mut encoder = Encoder::with_checkpoints(&recipe, 100_000);
        let mut whole = Vec::new();
        let mut sink = |bytes: &[u8]| {
            whole.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = encoder.write(&content, &mut sink);
        let Ok(checkpoints) = encoder.finish(&mut sink);
        assert!(checkpoints.segments() > 8, "{} segments of {recipe:?}", checkpoints.segments());
        assert_eq!(Checkpoints::decode(&checkpoints.encode()).as_ref(), Ok(&checkpoints));
        for piece in [1 << 20, 5000] {
            let segments = encode_segments(&recipe, &checkpoints, &content, piece);
            assert!(segments.iter().all(|segment| !segment.is_empty()));
            assert!(segments.concat() == whole, "{recipe:?} in pieces of {piece}");
        }
    }
}

#[test]
fn checkpoints_of_another_engine_are_refused() {
    let content = samples::mixture(6, 400_000);
    let recipe = recipe(Family::Go, 6, Framing::Stream);
    let mut encoder = Encoder::with_checkpoints(&recipe, 100_000);
    let mut sink = |_: &[u8]| Ok::<(), Infallible>(());
    let Ok(()) = encoder.write(&content, &mut sink);
    let Ok(checkpoints) = encoder.finish(&mut sink);
    let plan = checkpoints.plan(1).expect("there are two segments");
    let history = vec![0; usize::try_from(plan.history.end - plan.history.start).expect("it is small")];
    for (family, level, framing) in
        [(Family::Go, 2, Framing::Stream), (Family::Go1_27, 6, Framing::Stream), (Family::Go, 6, BLOCKS)]
    {
        let other = self::recipe(family, level, framing);
        let error = StreamSegment::new(&other, &checkpoints, 1, &history).expect_err("another engine");
        assert_eq!(error, CheckpointError::Foreign { number: 0 });
    }
    let error = StreamSegment::new(&recipe, &checkpoints, 1, &history[1..]).expect_err("too little history");
    assert_eq!(error, CheckpointError::History { expected: history.len() as u64, found: history.len() - 1 });
}
