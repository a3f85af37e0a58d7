//! Sizes and names beyond the ordinary.

use super::*;

/// A plan with one layer of `size` bytes that nobody has.
fn planned(digest: Digest, size: u64) -> Contents {
    let config = Descriptor::of(media_type::OCI_EMPTY, b"{}");
    let layer = Descriptor::new(LAYER, digest, size);
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer, config],
    });
    let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
    let root = Root { reference: "r.example/a:1".parse().unwrap(), descriptor: manifest.descriptor().clone() };
    let index = Index::new(vec![root], Vec::new());
    Contents { index, manifests: [(manifest.digest(), manifest)].into(), absent: [].into() }
}

/// The frame of a plan in a sparse file: everything but the blobs.
fn framed(path: &Path, layout: &Layout) {
    let file = File::create(path).unwrap();
    for (offset, bytes) in layout.frame() {
        file.write_all_at(&bytes, offset).unwrap();
    }
}

#[rstest]
#[case(Algorithm::Sha256, (8 << 30) - 1)]
#[case(Algorithm::Sha256, 8 << 30)]
#[case(Algorithm::Sha256, (8 << 30) + 511)]
#[case(Algorithm::Sha256, 100 << 30)]
#[case(Algorithm::Sha512, 5)]
#[case(Algorithm::Sha512, (8 << 30) + 1)]
#[tokio::test]
async fn large_layers_and_long_names_are_read_by_gnu_tar_and_by_us(#[case] algorithm: Algorithm, #[case] size: u64) {
    needs!("tar");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let digest = Digest::of(algorithm, b"large");
    let layout = Layout::of(&planned(digest, size)).unwrap();
    framed(&path, &layout);
    let listed = Ran::of(Command::new(peers::path("tar")).args(["--list", "--verbose", "-f"]).arg(&path)).success();
    assert_eq!(listed.stderr, "");
    let entries: Vec<(String, String)> = listed
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .map(|words| (words[words.len() - 1].to_owned(), words[2].to_owned()))
        .collect();
    let planned: Vec<_> = layout.entries().map(|entry| (entry.name, entry.size.to_string())).collect();
    assert_eq!(entries, planned);

    let reader = Reader::open(&path).await.unwrap();
    assert_eq!(reader.size(), layout.total());
    assert!(reader.check_frame().unwrap().is_empty());
    let blob = Descriptor::new(LAYER, digest, size);
    assert!(reader.fetch(&blob, size - 1).await.is_ok(), "the header before it is the planned one");
}

#[tokio::test]
async fn names_by_sha_512_go_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let digest = Digest::of(Algorithm::Sha512, b"content");
    let contents = planned(digest, 7);
    let writer = Writer::open(&path, contents, false).await.unwrap();
    for (blob, content) in
        [(Descriptor::new(LAYER, digest, 7), &b"content"[..]), (Descriptor::of(media_type::OCI_EMPTY, b"{}"), b"{}")]
    {
        use airlift::content::{Sink, Verified};
        writer.push(&blob, Verified::bytes(blob.clone(), content.into())).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert_eq!(findings(&path).await, []);
    let file = File::options().write(true).open(&path).unwrap();
    let place = *Reader::open(&path).await.unwrap().layout().unwrap().place(&digest).unwrap();
    for at in place.header_offset..place.offset {
        let mut byte = [0];
        file.sync_all().unwrap();
        File::open(&path).unwrap().read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        assert_eq!(findings(&path).await.len(), 1, "byte {at}");
        file.write_all_at(&byte, at).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_layout_is_whole_at_every_size(sizes in proptest::collection::vec(
        prop_oneof![0_u64..1100, (8_u64 << 30) - 600..(8 << 30) + 600, any::<u32>().prop_map(u64::from)], 1..8,
    )) {
        let layers: Vec<Descriptor> = sizes.iter().enumerate()
            .map(|(at, &size)| Descriptor::new(LAYER, Digest::sha256(&at.to_le_bytes()), size)).collect();
        let config = Descriptor::of(media_type::OCI_EMPTY, b"{}");
        let document = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers,
        });
        let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
        let root = Root { reference: "r.example/a:1".parse().unwrap(), descriptor: manifest.descriptor().clone() };
        let index = Index::new(vec![root], Vec::new());
        let contents = Contents { index, manifests: [(manifest.digest(), manifest)].into(), absent: [].into() };
        let layout = Layout::of(&contents).unwrap();
        // Frame and blobs together cover the file without gap or overlap.
        let mut pieces: Vec<(u64, u64)> = layout.frame().map(|(at, bytes)| (at, bytes.len() as u64)).collect();
        pieces.extend(layout.blobs().iter().map(|place| (place.offset, place.whole)));
        pieces.sort_unstable();
        let mut end = 0;
        for (at, size) in pieces.into_iter().filter(|(_, size)| *size > 0) {
            prop_assert_eq!(at, end);
            end = at + size;
        }
        prop_assert_eq!(end, layout.total());
        prop_assert_eq!(layout.total() % 512, 0);
        for entry in layout.entries() {
            prop_assert_eq!(entry.header_offset % 512, 0);
            prop_assert_eq!(entry.offset - entry.header_offset, header::length(&entry.name));
        }
    }
}

#[test]
fn sizes_that_no_file_has_are_refused_and_do_not_overflow() {
    for size in [u64::MAX, u64::MAX - 511, i64::MAX as u64] {
        let error = Layout::of(&planned(Digest::sha256(b"x"), size)).unwrap_err();
        assert_eq!(error.code(), Code::ContentTooLarge);
    }
}
