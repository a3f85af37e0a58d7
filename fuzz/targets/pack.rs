//! Packed files, their heads and recipes, and the encoders.

use std::{cell::OnceCell, convert::Infallible, fs, io::Read as _};

use airlift::{
    content::Class,
    pack::{
        PackRequest, PackedFile, ReadSettings,
        deflate::{Checkpoints, Encoder, Engine, Family, Framing, MarkScanner, MemberList, RawEncoder, Recipe, detect},
        pack,
    },
    progress::Progress,
    transfer::verify::verify,
};
use sha2::{Digest as _, Sha256};

use crate::{
    ground::{self, exchanged, scratch},
    originals,
};

/// Memory that reading may take.
const MEMORY: u64 = 64 << 20;

thread_local! {
    static PACKED: OnceCell<Vec<u8>> = const { OnceCell::new() };
}

/// Opens a packed file and reads all of it: true if it is sound.
async fn is_sound(bytes: &[u8], name: &str) -> bool {
    let path = scratch(name);
    fs::write(&path, bytes).expect("the temporary folder can be written to");
    let settings = ReadSettings { memory: MEMORY, ..ReadSettings::default() };
    let Ok(packed) = PackedFile::open(&path, settings).await else { return false };
    let Ok(found) = verify(packed.reader(), 1, &Progress::silent()).await else { return false };
    let is_bad = |class| matches!(class, Class::Unverified | Class::Failed);
    assert!(found.findings.iter().all(|finding| is_bad(finding.code.class())), "{:?}", found.findings);
    found.is_sound()
}

/// The bundle of all targets, packed.
async fn made(sound: &[u8]) -> Vec<u8> {
    let (from, to) = (scratch("to-pack.tar"), scratch("made.pack"));
    fs::write(&from, sound).expect("the temporary folder can be written to");
    let bundle = airlift::bundle::Reader::open(&from).await.expect("it is a bundle");
    let request = PackRequest { overwrite: true, ..PackRequest::new(Some(to.clone()), 1) };
    pack(&bundle, &request, &Progress::silent()).await.expect("a small bundle");
    fs::read(to).expect("it was written")
}

/// A packed file with some of its bytes exchanged: a change is found.
pub(crate) fn packed(changes: &[u8]) {
    ground::with(|ground| {
        PACKED.with(|packed| {
            let sound = packed.get_or_init(|| ground.runtime.block_on(made(&ground.sound)));
            let bytes = exchanged(sound, changes);
            let is_sound = ground.runtime.block_on(is_sound(&bytes, "changed.pack"));
            assert_eq!(is_sound, bytes == *sound, "a change is not found, or nothing was changed");
        });
    });
}

/// A head with this JSON, sealed, or where it is none these bytes; no frames follow.
pub(crate) fn head(input: &[u8]) {
    let mut bytes = input.to_vec();
    if input.starts_with(b"{") {
        bytes = [&b"airpack\x1a"[..], &1_u32.to_le_bytes()].concat();
        bytes.extend(u32::try_from(input.len()).expect("libFuzzer keeps to the limit").to_le_bytes());
        bytes.extend(input);
        let seal = Sha256::digest(&bytes);
        bytes.extend_from_slice(&seal);
    }
    ground::with(|ground| {
        // Whether it is sound does not matter; that it is read without a panic does.
        let _ = ground.runtime.block_on(is_sound(&bytes, "head.pack"));
    });
}

/// Recipes and checkpoints: what is read is written as the same bytes.
pub(crate) fn recipe(input: &[u8]) {
    if let Ok(list) = MemberList::decode(input) {
        assert_eq!(MemberList::decode(&list.encode()), Ok(list));
    }
    if let Ok(marks) = Checkpoints::decode(input) {
        assert_eq!(marks.encode(), input);
    }
}

fn gzip(recipe: &Recipe, content: &[u8], piece: usize) -> Vec<u8> {
    let mut made = Vec::new();
    let mut sink = |bytes: &[u8]| {
        made.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    };
    let mut encoder = Encoder::new(recipe);
    for bytes in content.chunks(piece) {
        let Ok(()) = encoder.write(bytes, &mut sink);
    }
    let Ok(_) = encoder.finish(&mut sink);
    made
}

/// More than a block of 65535 bytes, and than the place where windows move.
const LONG: usize = 70_000;

/// The content as it is, or copies of it, each changed at one place, up to [`LONG`]: so short inputs reach where windows move and blocks end.
fn stretched(content: &[u8], is_long: bool) -> Vec<u8> {
    // With copies of a few bytes, every place is like every other one, and the slowest levels take seconds.
    let copies = if is_long && content.len() >= 256 { LONG.div_ceil(content.len()) } else { 1 };
    let mut stretched = content.repeat(copies);
    for (number, copy) in stretched.chunks_mut(content.len().max(1)).enumerate().skip(1) {
        let place = number * 7919 % copy.len();
        copy[place] ^= number.to_le_bytes()[0] | 1;
    }
    stretched
}

/// Any content by any encoder: the original makes the same bytes, where it is there, and the content comes back, however it was cut.
pub(crate) fn encoder(input: &[u8]) {
    let [family, level, size, content @ ..] = input else { return };
    let family = Family::ALL[usize::from(*family) % Family::ALL.len()];
    let Ok(engine) = Engine::new(family, i8::try_from(level % 12).unwrap_or(0) - 2) else { return };
    let small = u32::from(*size);
    let framing = match (family, size % 4) {
        (Family::Gzip, _) | (_, 0 | 2) => Framing::Stream,
        (Family::Zlib, 1) => Framing::Pigz { size: 32_768 + small },
        (Family::Zlib, _) => Framing::PigzSingle { size: 32_768 + small },
        _ => Framing::Blocks { size: 16_385 + small },
    };
    let content = &stretched(content, level / 12 == 20)[..];
    let recipe = Recipe { engine, framing, header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] };
    let made = gzip(&recipe, content, content.len().max(1));
    assert!(made == gzip(&recipe, content, 1 + usize::from(*size) * 7), "pieces change the bytes of {recipe:?}");
    if let Some(original) = originals::gzip(engine, framing, content) {
        // The fixed part of the header is another: klauspost's has a time of its own.
        assert!(made[10..] == original[10..], "{recipe:?} makes other bytes than the original");
    }
    let is_plain = family == Family::Zlib && framing == Framing::Stream;
    if let Some(mut raw) = RawEncoder::new(engine.level().unsigned_abs()).filter(|_| is_plain) {
        let mut stream = Vec::new();
        let mut sink = |bytes: &[u8]| {
            stream.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = raw.write(content, &mut sink);
        let Ok(()) = raw.finish(&mut sink);
        assert!(stream == made[recipe.header.len()..made.len() - 8], "a raw stream is another than that of gzip");
    }
    assert!(
        scanned(&recipe, &made, 1 + usize::from(*size), content.len()).is_some(),
        "{recipe:?} is taken for another"
    );
    let mut back = Vec::new();
    flate2::read::MultiGzDecoder::new(&made[..]).read_to_end(&mut back).expect("it is a gzip stream");
    assert!(back == content, "{recipe:?} does not come back");
}

fn scanned(recipe: &Recipe, gzip: &[u8], piece: usize, length: usize) -> Option<Checkpoints> {
    let mut scanner = MarkScanner::new(recipe, 1);
    gzip.chunks(piece).for_each(|bytes| scanner.update(bytes));
    scanner.finish(length as u64)
}

/// Any stream by an unknown encoder: what is found makes it, and a scan does not depend on how it is cut.
pub(crate) fn gzip_stream(input: &[u8]) {
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], input].concat();
    let mut content = Vec::new();
    let _ = flate2::read::GzDecoder::new(&gzip[..]).take(1 << 20).read_to_end(&mut content);
    for recipe in detect(&gzip, &content).take(3) {
        let made = self::gzip(&recipe, &content, content.len().max(1));
        let common = made.iter().zip(&gzip).take_while(|(one, other)| one == other).count();
        assert!(common >= 10, "another header");
    }
    let engine = Engine::new(Family::Go, 6).expect("Go has the level");
    for framing in [Framing::Stream, Framing::Blocks { size: 20_000 }] {
        let recipe = Recipe { engine, framing, header: gzip[..10].to_vec() };
        let whole = scanned(&recipe, &gzip, gzip.len(), content.len());
        assert_eq!(scanned(&recipe, &gzip, 7, content.len()), whole);
    }
}
