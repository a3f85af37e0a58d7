//! A bundle with layers of all kinds: two versions of an image, whose layers are by several encoders.

use std::{collections::BTreeMap, convert::Infallible, fs, io::Write as _, path::PathBuf};

use airlift::{
    oci::Digest,
    pack::deflate::{Encoder, Engine, Family, Framing, RawEncoder, Recipe},
};

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob, LAYER, noise},
    packed::Packed,
    process::Ran,
};

/// A bundle `b.tar` in a home of its own.
pub(super) struct Sample {
    pub(super) airlift: Airlift,
    /// The layers of the first version.
    pub(super) layers: BTreeMap<&'static str, Digest>,
}

/// The encoders of the gzip layers: a name, and what they are.
const ENCODERS: [(&str, Family, i8, Framing); 4] = [
    ("go-6", Family::Go, 6, Framing::Stream),
    ("pgzip", Family::Klauspost1_18_2, 5, Framing::Blocks { size: 1 << 20 }),
    ("go-1", Family::Go, 1, Framing::Stream),
    ("zlib-6", Family::Zlib, 6, Framing::Stream),
];

/// The names of the layers that are gzip streams by known encoders.
pub(super) fn gzip_layers() -> impl Iterator<Item = &'static str> {
    ENCODERS.iter().map(|(name, ..)| *name).chain(["two-members", "jar"])
}

/// Text of `length` bytes; versions of one seed are alike.
pub(super) fn text(seed: u64, version: u64, length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 4096);
    let mut paragraph = 0;
    while text.len() < length {
        // Every eighth paragraph is of the version.
        let own = if paragraph % 8 == 3 { 1000 * (version + 1) } else { 0 };
        for byte in noise(seed * 1_000_000 + own + paragraph, 900) {
            text.extend_from_slice(&format!("{byte:02x}").as_bytes()[..=usize::from(byte % 2)]);
            text.extend_from_slice([&b" "[..], b"the", b"layer\n", b"/usr/lib/"][usize::from(byte / 64)]);
        }
        paragraph += 1;
    }
    text.truncate(length);
    text
}

/// A gzip stream as an encoder makes it.
pub(super) fn gzip(family: Family, level: i8, framing: Framing, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    if !matches!(family, Family::Go | Family::Zlib) {
        header[4..8].copy_from_slice(&[0, 9, 0x6e, 0x88]);
    }
    if family == Family::Zlib {
        header[9] = 3;
    }
    header[8] = if level == 1 { 4 } else { 0 };
    let engine = Engine::new(family, level).unwrap();
    let mut encoder = Encoder::new(&Recipe { engine, framing, header });
    let mut made = Vec::new();
    let mut sink = |bytes: &[u8]| {
        made.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    };
    let Ok(()) = encoder.write(content, &mut sink);
    let Ok(_) = encoder.finish(&mut sink);
    made
}

/// What is in a zip file whose members zlib made; versions of one seed are alike only where they are inflated.
pub(super) fn jar(seed: u64, version: u64) -> Vec<u8> {
    let mut jar = Vec::new();
    let mut encoder = RawEncoder::new(6).unwrap();
    for (number, content) in text(seed, version, 400_000).chunks(50_000).enumerate() {
        jar.extend_from_slice(b"PK\x03\x04\x14\0\x08\x08\x08\0");
        jar.extend_from_slice(&[&[0; 16][..], &[6, 0, 0, 0], format!("file-{number}").as_bytes()].concat());
        let mut sink = |bytes: &[u8]| {
            jar.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = encoder.write(content, &mut sink);
        let Ok(()) = encoder.finish(&mut sink);
    }
    jar
}

/// A gzip stream by an encoder that is not known: zlib-rs.
fn unknown(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

impl Sample {
    pub(super) fn new() -> Self {
        Self::sized([90_000, 20_000])
    }

    /// With so many bytes in the first two gzip layers, and in the others.
    pub(super) fn sized(lengths: [usize; 2]) -> Self {
        let airlift = Airlift::new();
        let versions = [0, 1].map(|version| {
            let layers = layers(version, lengths);
            let blobs = layers.iter().map(|(_, bytes)| Blob::new(LAYER, bytes.clone())).collect();
            (Artifact::image("linux/amd64", blobs), layers)
        });
        let digests = versions[0].1.iter().map(|(name, bytes)| (*name, Digest::sha256(bytes))).collect();
        let [(first, _), (second, _)] = versions;
        let packed = Packed::new().with("r.example/team/app:1", first).with("r.example/team/app:2", second);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(packed.write(&airlift.home().join("b.tar")));
        Self { airlift, layers: digests }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.airlift.home().join(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Packs `b.tar`.
    #[track_caller]
    pub(super) fn pack(&self, to: &str, more: &[&str]) -> Ran {
        self.airlift.run([&["pack", "b.tar", "-o", to], more].concat()).success()
    }

    pub(super) fn unpack(&self, from: &str, to: &str, more: &[&str]) -> Ran {
        self.airlift.run([&["unpack", from, "-o", to], more].concat())
    }
}

fn layers(version: u64, [large, small]: [usize; 2]) -> Vec<(&'static str, Vec<u8>)> {
    let mut layers: Vec<_> = (1..)
        .zip(ENCODERS)
        .map(|(seed, (name, family, level, framing))| {
            // Some are coded together, some by themselves.
            let length = if seed < 3 { large } else { small };
            (name, gzip(family, level, framing, &text(seed, version, length)))
        })
        .collect();
    let member = |seed| gzip(Family::Go, 9, Framing::Stream, &text(seed, version, 20_000));
    layers.push(("two-members", [member(21), member(22)].concat()));
    layers.push(("jar", gzip(Family::Zlib, 6, Framing::Stream, &jar(61, version))));
    layers.push(("plain", text(31, version, 80_000)));
    layers.push(("noise", noise(41 + version, 70_000)));
    // All encoders are tried on it, so it is short.
    layers.push(("unknown", unknown(&text(51, version, 20_000))));
    layers
}
