//! Heads that lie: refused before anything is decoded, or when the lie shows.

use std::path::Path;

use super::{
    codec,
    deflate::{Engine, Family, Framing, MemberList, Recipe},
    error::Error,
    head::{self, FrameCoding, PackFrame, PackHead, PackedBlob, PackedBundle, PackedContent, PrefixPart, PrefixSource},
    nested::{NestedStream, NestedStreams},
    opened::{PackedFile, ReadSettings},
    sealed_json,
};
use crate::{
    bundle::{Contents, Index, Layout, Root, Writer},
    content::{Code, Fault, Sink as _, Source as _, Verified},
    oci::{Descriptor, Digest, Manifest, media_type},
};

pub(super) const LAYER: &[u8] = b"one layer, one layer, one layer, one layer, one layer, and its end\n";
const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

/// The encoder of the layer.
fn recipe() -> Recipe {
    let engine = Engine::new(Family::Go, 6).unwrap();
    Recipe { engine, framing: Framing::Stream, header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] }
}

/// The gzip of [`LAYER`].
pub(super) fn gzip_layer() -> Vec<u8> {
    let mut gzip = Vec::new();
    let mut encoder = super::deflate::Encoder::new(&recipe());
    let mut sink = |bytes: &[u8]| {
        gzip.extend_from_slice(bytes);
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(()) = encoder.write(LAYER, &mut sink);
    let Ok(_) = encoder.finish(&mut sink);
    gzip
}

/// One image with that layer.
fn contents() -> Contents {
    let descriptor = |content: &[u8]| Descriptor::of("application/octet-stream", content);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(CONFIG), "layers": [descriptor(&gzip_layer())],
    });
    let manifest = Manifest::parse(manifest.to_string().into(), None).unwrap();
    let root = Root { reference: "r.example/app:1".parse().unwrap(), descriptor: manifest.descriptor().clone() };
    let manifests = [(manifest.digest(), manifest)].into();
    Contents { index: Index::new(vec![root], Vec::new()), manifests, absent: [].into() }
}

fn layout() -> (Layout, Vec<u8>, Recipe) {
    (Layout::of(&contents()).unwrap(), gzip_layer(), recipe())
}

/// Writes the bundle of that image.
pub(super) async fn write_bundle(path: &Path) {
    let writer = Writer::open(path, contents(), false).await.unwrap();
    for content in [CONFIG.to_vec(), gzip_layer()] {
        let blob = Descriptor::of("application/octet-stream", &content);
        writer.push(&blob, Verified::bytes(blob.clone(), content.into())).await.unwrap();
    }
    writer.finish().await.unwrap();
}

/// The packed file of that bundle, whose head `change` may change; the frames go with it as they are.
fn packed(change: impl FnOnce(&mut PackHead)) -> Vec<u8> {
    let (layout, gzip, recipe) = layout();
    let list = MemberList::new([(recipe, LAYER.len() as u64)]);
    let content = [&layout.head()[..], CONFIG, LAYER].concat();
    let coded = codec::compress(&content, &[], 3, Path::new("x")).unwrap();
    let blob =
        |digest, length, size, recipe| PackedBlob { checkpoints: None, digest, length, nested: None, recipe, size };
    let (config, layer) = (CONFIG.len() as u64, LAYER.len() as u64);
    let frame = PackFrame {
        coding: FrameCoding::Zstd,
        digest: Digest::sha256(&coded),
        length: content.len() as u64,
        prefix: Vec::new(),
        size: coded.len() as u64,
    };
    let mut head = PackHead {
        base: Vec::new(),
        bundle: PackedBundle { id: layout.id(), seal: layout.facts().digest(), size: layout.total() },
        contents: vec![PackedContent {
            blobs: vec![
                blob(Digest::sha256(CONFIG), config, config, None),
                blob(Digest::sha256(&gzip), layer, gzip.len() as u64, Some(head::encode(&list.encode()))),
            ],
            frames: vec![frame],
        }],
        front: layout.head_size(),
    };
    change(&mut head);
    [head.write(), coded].concat()
}

async fn open(bytes: &[u8], memory: u64) -> Result<PackedFile, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pack");
    std::fs::write(&path, bytes).unwrap();
    PackedFile::open(&path, ReadSettings { memory, ..ReadSettings::default() }).await
}

/// The code of the refusal, and its text.
async fn refused(change: impl FnOnce(&mut PackHead)) -> (Code, String) {
    let error = open(&packed(change), 1 << 20).await.expect_err("it should be refused");
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    (error.code(), causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

async fn layer(packed: &PackedFile) -> crate::content::Result<bytes::Bytes> {
    let reader = std::sync::Arc::new(packed.reader().clone());
    let blob = reader.layout().unwrap().blobs()[1].descriptor();
    Verified::open(reader, &blob).await?.collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_right_is_read_and_its_layer_is_made_again() {
    let file = open(&packed(|_| {}), 1 << 20).await.unwrap();
    assert_eq!(layer(&file).await.unwrap(), layout().1);
    let blob = file.reader().layout().unwrap().blobs()[1].descriptor();
    let mut rest = file.reader().fetch(&blob, 5).await.unwrap();
    let first = futures::StreamExt::next(&mut rest).await.unwrap().unwrap();
    assert_eq!(first, layout().1[5..], "a part of a layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_says_what_cannot_be_is_refused_at_open() {
    type Change = fn(&mut PackHead);
    let changes: [(&str, Change); 18] = [
        ("another bundle", |head| head.bundle.id = Digest::sha256(b"another")),
        ("another bundle", |head| head.bundle.seal = Digest::sha256(b"another")),
        ("do not add up", |head| head.front -= 1),
        ("do not add up", |head| head.contents[0].frames[0].length += 1),
        ("longer than any", |head| head.contents[0].frames[0].length = head::MOST_FRAME + 1),
        ("a prefix is not before", |head| {
            head.contents[0].frames[0].prefix = vec![part(PrefixSource::Content, 0, 0, 9)];
        }),
        ("a prefix is not before", |head| head.contents[0].frames[0].prefix = vec![part(PrefixSource::Base, 0, 0, 9)]),
        ("a stored frame is coded", |head| head.contents[0].frames[0].coding = FrameCoding::Stored),
        ("two sizes", |head| head.contents[0].blobs[0].size += 1),
        ("a blob is there twice", |head| {
            let blob = head.contents[0].blobs[0].clone();
            head.contents[0].blobs.push(blob);
        }),
        ("longer than its blob allows", |head| head.contents[0].blobs[1].length = 1 << 30),
        ("another size", |head| head.contents[0].blobs[1].size += 1),
        ("it lacks", |head| head.contents[0].blobs[1].digest = Digest::sha256(b"another")),
        ("are not its content", |head| head.contents[0].blobs[1].nested = Some(nested(1, &[]))),
        ("streams are longer", |head| head.contents[0].blobs[1].nested = Some(nested(0, &[(1 << 62, 1 << 62)]))),
        ("streams are longer", |head| head.contents[0].blobs[1].nested = Some(nested(0, &[(60, 9)]))),
        ("later version", |head| head.contents[0].blobs[1].nested = Some(head::encode(&[2, 0]))),
        ("cannot be used", |head| head.contents[0].blobs[1].recipe = Some(head::encode(&[9, 9, 9]))),
    ];
    for (expected, change) in changes {
        let (code, text) = refused(change).await;
        assert_eq!(code, Code::PackMalformed, "{text}");
        assert!(text.contains(expected), "{text:?} does not say {expected:?}");
    }
}

/// A list of nested streams, of a content that is longer than [`LAYER`] by `more`; each of them has a gap and a length.
fn nested(more: u64, streams: &[(u64, u64)]) -> String {
    let streams = streams.iter().map(|&(gap, length)| NestedStream { gap, length, level: 6 }).collect();
    head::encode(&NestedStreams { content: LAYER.len() as u64 + more, streams }.encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_stream_that_makes_other_bytes_is_stopped() {
    // It makes fewer bytes than the content has.
    let file = packed(|head| head.contents[0].blobs[1].nested = Some(nested(0, &[(0, LAYER.len() as u64)])));
    let error = layer(&open(&file, 1 << 20).await.unwrap()).await.expect_err("the stream makes other bytes");
    assert_eq!(error.code(), Code::PackMalformed, "{error}");
    assert!(error.to_string().contains("makes other than"), "{error}");
    // Without any it is the content itself.
    let file = packed(|head| head.contents[0].blobs[1].nested = Some(nested(0, &[])));
    assert_eq!(layer(&open(&file, 1 << 20).await.unwrap()).await.unwrap(), layout().1);
}

fn part(source: PrefixSource, number: usize, from: u64, size: u64) -> PrefixPart {
    PrefixPart { from, number, size, source }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_is_not_known_is_named_at_open() {
    // Behind version, count, length and version of the recipe is the family.
    let (code, text) = refused(|head| {
        let list = MemberList::new([(layout().2, LAYER.len() as u64)]);
        let mut bytes = list.encode();
        bytes[10] = 250;
        head.contents[0].blobs[1].recipe = Some(head::encode(&bytes));
    })
    .await;
    assert_eq!(code, Code::PackMalformed);
    assert!(text.contains("250") && text.contains("sha256:"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_that_makes_other_bytes_is_stopped() {
    // A stored block is longer than the blob: more would come without end.
    for level in [0, 9] {
        let file = packed(|head| {
            let (_, _, mut recipe) = layout();
            recipe.engine = Engine::new(Family::Go, level).unwrap();
            if level == 9 {
                recipe.header.truncate(3);
            }
            let list = MemberList::new([(recipe, LAYER.len() as u64)]);
            head.contents[0].blobs[1].recipe = Some(head::encode(&list.encode()));
        });
        let file = open(&file, 1 << 20).await.unwrap();
        let error = layer(&file).await.expect_err("the recipe makes other bytes");
        assert_eq!(error.code(), Code::PackMalformed, "{error}");
        assert!(error.to_string().contains("makes other than"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_memory_and_a_missing_base_are_refused_at_open() {
    let error = open(&packed(|_| {}), 1000).await.expect_err("too little memory");
    assert_eq!(error.code(), Code::PackMemory, "{error}");
    let layer = Digest::sha256(b"a layer that the receiver has");
    let (code, text) = refused(|head| {
        head.base = vec![head::BaseLayer { digest: layer, gzip: false, length: 9, size: 9 }];
    })
    .await;
    assert_eq!(code, Code::PackBaseMissing);
    assert!(text.contains(&layer.to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_is_named_and_another_order_of_members_refused() {
    let mut file = packed(|_| {});
    let json = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let reseal = |file: &mut Vec<u8>| {
        let seal = <sha2::Sha256 as sha2::Digest>::digest(&file[..sealed_json::FRONT + json]);
        file[sealed_json::FRONT + json..sealed_json::FRONT + json + sealed_json::SEAL].copy_from_slice(&seal);
    };
    file[8] = 2;
    reseal(&mut file);
    let error = open(&file, 1 << 20).await.expect_err("a later version");
    assert_eq!(error.code(), Code::PackVersion, "{error}");
    let mut file = packed(|_| {});
    let at = file.windows(9).position(|bytes| bytes == b"{\"base\":[").unwrap();
    file[at + 8..].copy_within(0..0, 0);
    let space = file.windows(2).rposition(|bytes| bytes == b",\"").unwrap();
    file[space..space + 2].copy_from_slice(b"\n\"");
    reseal(&mut file);
    let error = open(&file, 1 << 20).await.expect_err("no canonical JSON");
    assert_eq!(error.code(), Code::PackMalformed, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_that_need_endless_decoding_are_refused() {
    // Each frame needs all of the ones before it, again and again.
    let (code, text) = refused(|head| {
        let frame = PackFrame {
            coding: FrameCoding::Zstd,
            digest: Digest::sha256(b""),
            length: 1 << 20,
            prefix: Vec::new(),
            size: 0,
        };
        for number in 1..80_usize {
            let prefix = (1..number).map(|other| part(PrefixSource::Content, other, 0, 1 << 20)).collect();
            let blob = PackedBlob {
                checkpoints: None,
                digest: Digest::sha256(&number.to_le_bytes()),
                length: 1 << 20,
                nested: None,
                recipe: None,
                size: 1 << 20,
            };
            head.contents
                .push(PackedContent { blobs: vec![blob], frames: vec![PackFrame { prefix, ..frame.clone() }] });
        }
    })
    .await;
    assert_eq!(code, Code::PackMalformed);
    assert!(text.contains("too much to be decoded"), "{text}");
}

#[test]
fn many_frames_each_with_the_one_before_as_its_prefix_are_not_too_many() {
    let (layout, ..) = layout();
    let digest = Digest::sha256(b"");
    let frame = |prefix| PackFrame { coding: FrameCoding::Zstd, digest, length: 100, prefix, size: 9 };
    let frames = 20_000;
    let coded = |number: u64| match number % 2 {
        0 => frame(Vec::new()),
        _ => frame(vec![part(PrefixSource::Content, 1, (number - 1) * 100, 100)]),
    };
    let length = frames * 100;
    let blob = PackedBlob { checkpoints: None, digest, length, nested: None, recipe: None, size: length };
    let contents = vec![
        PackedContent { blobs: Vec::new(), frames: vec![PackFrame { length: 10, ..frame(Vec::new()) }] },
        PackedContent { blobs: vec![blob], frames: (0..frames).map(coded).collect() },
    ];
    let bundle = PackedBundle { id: layout.id(), seal: layout.facts().digest(), size: layout.total() };
    let head = PackHead { base: Vec::new(), bundle, contents, front: 10 };
    PackHead::parse(&head.write(), Path::new("x")).unwrap();
}
