//! Layers as they are found: odd gzip headers, damaged ends, many members, flushes, and what is not gzip at all.

use std::io::Write as _;

use airlift::{
    oci::{Algorithm, Descriptor, Digest},
    pack::deflate::Family,
};
use flate2::{Compression, Crc, write::GzEncoder};

use super::sample::{gzip, text};
use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob, LAYER, noise},
    http::block_on,
    packed::Packed,
};

/// A Go stream of `content` with another header in front.
fn with_header(header: &[u8], content: &[u8]) -> Vec<u8> {
    let go = gzip(Family::Go, 6, airlift::pack::deflate::Framing::Stream, content);
    [header, &go[10..]].concat()
}

/// A header with a file name, a comment, an extra field and its own checksum, which may be wrong.
fn full_header(is_right: bool) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, 0b1_1110, 1, 2, 3, 4, 0, 255];
    header.extend_from_slice(&[4, 0, b'A', b'L', 0, 0]);
    header.extend_from_slice(b"layer.tar\0a comment\0");
    let mut crc = Crc::new();
    crc.update(&header);
    let sum = crc.sum() ^ u32::from(!is_right);
    header.extend_from_slice(&sum.to_le_bytes()[..2]);
    header
}

/// Every layer with its name and the way in which it is to be coded.
fn layers() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    use airlift::pack::deflate::Framing::Stream;
    let content = text(71, 0, 80_000);
    let go = gzip(Family::Go, 6, Stream, &content);
    let changed = |at: usize| {
        let mut bytes = go.clone();
        let at = bytes.len() - at;
        bytes[at] ^= 1;
        bytes
    };
    let mut flushed = GzEncoder::new(Vec::new(), Compression::new(6));
    flushed.write_all(&content[..30_000]).unwrap();
    flushed.flush().unwrap();
    flushed.write_all(&content[30_000..]).unwrap();
    let small = |number: u64| gzip(Family::Go, 6, Stream, &text(90 + number, 0, 300));
    let members: Vec<u8> = [Family::Go, Family::Klauspost1_18_2, Family::Zlib]
        .into_iter()
        .flat_map(|family| gzip(family, if family == Family::Klauspost1_18_2 { 5 } else { 6 }, Stream, &content))
        .collect();
    vec![
        ("name, comment, extra field, checksum", "recipe", with_header(&full_header(true), &content)),
        ("name", "recipe", with_header(b"\x1f\x8b\x08\x08\x01\x02\x03\x04\0\xfflayer.tar\0", &content)),
        ("header with a wrong checksum", "unknown-encoder", with_header(&full_header(false), &content)),
        ("wrong CRC-32", "unknown-encoder", changed(8)),
        ("wrong size", "unknown-encoder", changed(4)),
        ("bytes behind the end", "unknown-encoder", [&go[..], b"garbage"].concat()),
        ("zeros behind the end", "unknown-encoder", [&go[..], &[0; 512]].concat()),
        ("cut", "unknown-encoder", go[..go.len() / 2].to_vec()),
        ("a header and no more", "unknown-encoder", go[..10].to_vec()),
        ("nothing", "recipe", gzip(Family::Go, 6, Stream, b"")),
        ("stored", "recipe", gzip(Family::Go, 0, Stream, &content)),
        ("noise", "recipe", gzip(Family::Go, 6, Stream, &noise(72, 90_000))),
        ("three members by three encoders", "recipe", members),
        ("300 members", "recipe", (0..300).flat_map(small).collect()),
        ("flushed within", "unknown-encoder", flushed.finish().unwrap()),
        ("zstd", "plain", zstd::encode_all(&content[..], 3).unwrap()),
        ("xz, or what begins so", "plain", [&b"\xfd7zXZ\0"[..], &noise(73, 70_000)].concat()),
        ("not compressed", "plain", content.clone()),
        ("no bytes", "plain", Vec::new()),
    ]
}

#[test]
fn whatever_a_layer_is_it_comes_back() {
    let airlift = Airlift::new();
    let layers = layers();
    let mut blobs: Vec<Blob> = layers.iter().map(|(_, _, bytes)| Blob::new(LAYER, bytes.clone())).collect();
    let long = text(74, 0, 80_000);
    let digest = Digest::of(Algorithm::Sha512, &long);
    blobs.push(Blob { descriptor: Descriptor::new(LAYER, digest, long.len() as u64), content: Some(long.into()) });
    let image = Artifact::image("linux/amd64", blobs);
    block_on(Packed::new().with("r.example/app:1", image).write(&airlift.home().join("b.tar")));
    let packed = airlift.json(["pack", "b.tar", "-o", "b.pack", "--json"]);
    let coded = packed["blobs"].as_array().unwrap();
    let mut wrong = Vec::new();
    for (name, expected, bytes) in &layers {
        let digest = Digest::sha256(bytes).to_string();
        let blob = coded.iter().find(|blob| blob["digest"] == *digest).unwrap();
        let coding = blob["coding"].as_str().unwrap();
        // What saves nothing is stored as it is, whatever made it.
        if coding != *expected && coding != "dense" {
            wrong.push(format!("{name}: {blob}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    airlift.run(["verify", "b.pack"]).success();
    airlift.run(["unpack", "b.pack", "-o", "c.tar"]).success();
    assert!(
        std::fs::read(airlift.home().join("c.tar")).unwrap() == std::fs::read(airlift.home().join("b.tar")).unwrap()
    );
}
