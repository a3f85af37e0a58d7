//! Damaged packed files: an error, exit code 4, and nothing published.

use std::{fs, path::Path};

use airlift::{
    content::{Class, Fault},
    pack::{PackedFile, ReadSettings},
    progress::Progress,
    transfer::verify::verify,
};

use super::sample::Sample;
use crate::support::{artifacts::noise, kills::seed};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// The class of what opening, or reading all of it, finds first; `None` if it is sound.
async fn class(path: &Path) -> Option<Class> {
    let packed = match PackedFile::open(path, ReadSettings::default()).await {
        Ok(packed) => packed,
        Err(error) => return Some(error.code().class()),
    };
    let found = verify(packed.reader(), 2, &Progress::silent()).await.unwrap();
    found.findings.first().map(|finding| finding.code.class())
}

/// Some of the numbers below `limit`, each of them in another stretch.
fn spread(limit: usize, count: usize) -> Vec<usize> {
    let random = noise(seed(), 8 * count);
    let step = limit.div_ceil(count);
    let number = |bytes: &[u8]| usize::from_le_bytes(bytes.try_into().unwrap());
    random.chunks(8).enumerate().map(|(at, bytes)| (at * step + number(bytes) % step).min(limit - 1)).collect()
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let sound = sample.read("b.pack");
    assert_eq!(block_on(class(&sample.path("b.pack"))), None);
    let head = 16 + usize::try_from(u32::from_le_bytes(sound[12..16].try_into().unwrap())).unwrap() + 32;
    let places = (0..20).chain(spread(head, 40)).chain((head - 33)..(head + 2)).chain(spread(sound.len(), 30));
    let path = sample.path("damaged.pack");
    for place in places.chain([sound.len() - 1]) {
        let mut damaged = sound.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&path, &damaged).unwrap();
        assert_eq!(block_on(class(&path)), Some(Class::Unverified), "a bit of byte {place} of {}", sound.len());
    }
}

#[test]
fn a_file_that_ends_early_or_late_is_refused_at_open() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let sound = sample.read("b.pack");
    let path = sample.path("damaged.pack");
    for length in (1..60).chain(spread(sound.len(), 20)).chain([sound.len() - 1]).filter(|&length| length > 0) {
        fs::write(&path, &sound[..length]).unwrap();
        let error = block_on(PackedFile::open(&path, ReadSettings::default())).unwrap_err();
        assert_eq!(error.code().token(), "pack.malformed", "{length} of {} bytes: {error}", sound.len());
    }
    fs::write(&path, [&sound[..], b"!"].concat()).unwrap();
    let error = block_on(PackedFile::open(&path, ReadSettings::default())).unwrap_err();
    assert_eq!(error.code().token(), "pack.malformed", "{error}");
}

/// Where frames end in a packed file.
fn frame_ends(packed: &[u8]) -> Vec<usize> {
    let length = usize::try_from(u32::from_le_bytes(packed[12..16].try_into().unwrap())).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&packed[16..16 + length]).unwrap();
    let contents = head["contents"].as_array().unwrap();
    let frames = contents.iter().flat_map(|content| content["frames"].as_array().unwrap());
    let mut end = 16 + length + 32;
    let ends = frames.map(|frame| {
        end += usize::try_from(frame["size"].as_u64().unwrap()).unwrap();
        end
    });
    ends.collect()
}

#[test]
fn a_cut_at_each_frame_and_a_bit_of_each_frame_are_found() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let sound = sample.read("b.pack");
    let ends = frame_ends(&sound);
    assert!(ends.len() > 5 && ends.last() == Some(&sound.len()), "{ends:?}");
    let path = sample.path("damaged.pack");
    for &end in &ends {
        for cut in [end - 1, end].into_iter().filter(|&cut| cut < sound.len()) {
            fs::write(&path, &sound[..cut]).unwrap();
            let error = block_on(PackedFile::open(&path, ReadSettings::default())).unwrap_err();
            assert_eq!(error.code().token(), "pack.malformed", "{cut} of {} bytes: {error}", sound.len());
        }
        let mut damaged = sound.clone();
        damaged[end - 1] ^= 0x80;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(block_on(class(&path)), Some(Class::Unverified), "the last byte of the frame before {end}");
    }
}

#[test]
fn a_damaged_packed_file_publishes_nothing() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let mut damaged = sample.read("b.pack");
    let last = damaged.len() - 1000;
    damaged[last] ^= 4;
    fs::write(sample.path("b.pack"), damaged).unwrap();
    sample.unpack("b.pack", "c.tar", &[]).exits(4).says(&["pack.malformed", "b.pack"]);
    assert!(!sample.path("c.tar").exists());
    let airlift = &sample.airlift;
    let verified = airlift.run(["verify", "b.pack"]).exits(4);
    assert!(verified.stdout.contains("pack.malformed") && verified.stdout.contains("digest"), "{verified}");
    airlift.run(["import", "b.pack", "--store", "store"]).exits(4).says(&["b.pack"]);
}
