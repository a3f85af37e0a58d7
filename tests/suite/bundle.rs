//! Bundles from outside: written in any order and after any break the same bytes, read by us and by others.

use std::{fs, sync::Arc};

use airlift::{
    bundle::{Format, Layout, Reader, StreamWriter, Writer},
    content::{
        Code, Fault as _, Lookup, Referrers, Resolve, Sink, Source, Verified, faulty::Fault, faulty::Faulty,
        memory::Memory,
    },
    oci::{Descriptor, Name},
};
use futures::TryStreamExt;

use crate::support::{
    artifacts::{Artifact, Blob, LAYER},
    packed::Packed,
};

/// Two artifacts that share a layer, and an SBOM attached to one of them.
fn sample() -> Packed {
    let image = Artifact::multi_platform(1, 3000);
    let sbom = Artifact::attached(
        "application/spdx+json",
        Blob::new("application/spdx+json", &b"{\"spdx\":1}"[..]),
        Some(&image),
    );
    Packed::new()
        .with("r.example/team/app:1", image)
        .with(
            "r.example/base:2",
            Artifact::image("linux/amd64", vec![Blob::layer(1, 3000), Blob::layer(9, 512), Blob::new(LAYER, "")]),
        )
        .attached("r.example/team/app", sbom)
}

async fn read_all(source: &impl Source, blob: &Descriptor) -> Vec<u8> {
    let stream = source.fetch(blob, 0).await.unwrap();
    stream
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let packed = sample();
    let finished = packed.write(&path).await;
    assert_eq!(fs::metadata(&path).unwrap().len(), finished.bytes);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["b.tar"], "neither partial file nor journal is left");

    let reader = Reader::open(&path).await.unwrap();
    assert_eq!((reader.format(), reader.id(), reader.size()), (Format::Bundle, finished.id, finished.bytes));
    assert_eq!(reader.index(), &packed.contents().index);
    for (digest, content) in packed.blobs() {
        let blob = Descriptor::new("", digest, content.len() as u64);
        assert!(reader.contains(&blob).await.unwrap());
        assert_eq!(read_all(&reader, &blob).await, content);
    }
    let (_, sbom) = &packed.attached[0];
    let subject = packed.roots[0].1.digest();
    assert_eq!(reader.referrers(&subject).await.unwrap(), [sbom.root.descriptor().clone()]);
    let name = Name::Tag("2".parse().unwrap());
    assert_eq!(reader.resolve(&name).await.unwrap().digest(), packed.roots[1].1.digest());
    assert!(reader.resolve(&Name::Tag("3".parse().unwrap())).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_how_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let packed = sample();
    let one = folder.path().join("one.tar");
    packed.write(&one).await;

    let two = folder.path().join("two.tar");
    let mut shuffled = packed.clone();
    shuffled.roots.reverse();
    let writer = Arc::new(Writer::open(&two, shuffled.contents(), false).await.unwrap());
    let mut places = writer.layout().blobs().to_vec();
    places.reverse();
    let pushes = places.iter().map(|place| {
        let (writer, body) = (Arc::clone(&writer), packed.body(&place.blob));
        async move { writer.push(&place.blob, body).await.unwrap() }
    });
    futures::future::join_all(pushes).await;
    Arc::into_inner(writer).unwrap().finish().await.unwrap();

    let mut streamed = Vec::new();
    let mut stream = StreamWriter::new(&packed.contents(), &mut streamed).unwrap();
    for place in stream.layout().blobs().to_vec() {
        stream.push(&place.blob, packed.body(&place.blob)).await.unwrap();
    }
    stream.finish().await.unwrap();
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
    assert!(fs::read(&one).unwrap() == streamed);
}

#[tokio::test]
async fn a_run_that_broke_off_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let packed = sample();
    let whole = folder.path().join("whole.tar");
    packed.write(&whole).await;
    let path = folder.path().join("b.tar");

    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    let place = writer.layout().blobs()[3].clone();
    writer.push(&place.blob, packed.body(&place.blob)).await.unwrap();
    drop(writer);
    assert!(!path.exists());

    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert_eq!(writer.present(), place.blob.size);
    assert!(writer.contains(&place.blob).await.unwrap());
    let unfinished = writer.finish().await.unwrap_err();
    assert_eq!(unfinished.code(), Code::Internal);

    // Another set of artifacts under the same name: what both have is moved, not fetched again.
    let mut other = packed.clone();
    other.roots.push(("r.example/a-first:1".to_owned(), Artifact::small(77, 5000)));
    let writer = Writer::open(&path, other.contents(), false).await.unwrap();
    assert!(writer.contains(&place.blob).await.unwrap());
    drop(writer);
    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert_eq!(writer.present(), place.blob.size);
    packed.fill(&writer).await;
    writer.finish().await.unwrap();
    assert!(fs::read(&whole).unwrap() == fs::read(&path).unwrap());
}

#[tokio::test]
async fn what_was_damaged_meanwhile_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let packed = sample();
    let path = folder.path().join("b.tar");
    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    packed.fill(&writer).await;
    let place = writer.layout().blobs()[4].clone();
    drop(writer);
    let partial = folder.path().join("b.tar.partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes[usize::try_from(place.offset).unwrap()] ^= 1;
    fs::write(&partial, bytes).unwrap();

    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert!(!writer.contains(&place.blob).await.unwrap());
    assert_eq!(writer.present(), writer.layout().blob_bytes() - place.blob.size);
}

#[tokio::test]
async fn an_artifact_that_failed_is_planned_out_and_nothing_is_fetched_twice() {
    let folder = tempfile::tempdir().unwrap();
    let all = sample().with("r.example/a-broken:1", Artifact::small(5, 4000));
    let path = folder.path().join("b.tar");
    let writer = Writer::open(&path, all.contents(), false).await.unwrap();
    for place in writer.layout().blobs().to_vec() {
        writer.push(&place.blob, all.body(&place.blob)).await.unwrap();
    }
    let rest = sample();
    writer.replan(rest.contents()).await.unwrap();
    assert_eq!(writer.present(), writer.layout().blob_bytes());
    writer.finish().await.unwrap();
    let expected = folder.path().join("expected.tar");
    rest.write(&expected).await;
    assert!(fs::read(&expected).unwrap() == fs::read(&path).unwrap());
}

#[tokio::test]
async fn wrong_content_never_counts_as_present() {
    let folder = tempfile::tempdir().unwrap();
    let packed = sample();
    let writer = Writer::open(&folder.path().join("b.tar"), packed.contents(), false).await.unwrap();
    let place = writer.layout().blobs().last().unwrap().clone();
    let place = writer.layout().blobs().iter().find(|other| other.blob.size == 3000).unwrap_or(&place).clone();
    for fault in [Fault::Flip(2999), Fault::Cut(100), Fault::Break(100), Fault::Grow] {
        let memory = Memory::new();
        memory.push(&place.blob, packed.body(&place.blob)).await.unwrap();
        let faulty = Arc::new(Faulty::new(memory, fault));
        let body = Verified::open(faulty, &place.blob).await.unwrap();
        writer.push(&place.blob, body).await.unwrap_err();
        assert!(!writer.contains(&place.blob).await.unwrap(), "{fault:?}");
    }
    let stranger = Descriptor::of(LAYER, b"not planned");
    let body = Verified::bytes(stranger.clone(), b"not planned"[..].into());
    assert_eq!(writer.push(&stranger, body).await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn an_output_that_exists_or_is_being_written_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let packed = sample();
    let path = folder.path().join("b.tar");
    let first = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert_eq!(Writer::open(&path, packed.contents(), false).await.unwrap_err().code(), Code::OutputBusy);
    drop(first);
    fs::remove_file(folder.path().join("b.tar.partial")).unwrap();
    fs::remove_file(folder.path().join("b.tar.partial.journal")).unwrap();

    fs::write(&path, "mine").unwrap();
    assert_eq!(Writer::open(&path, packed.contents(), false).await.unwrap_err().code(), Code::OutputExists);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was created");

    let writer = Writer::open(&path, packed.contents(), true).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"mine", "replaced only when all is there");
    packed.fill(&writer).await;
    writer.finish().await.unwrap();
    Reader::open(&path).await.unwrap();
}

#[test]
fn a_plan_needs_every_manifest_and_one_size_for_each_digest() {
    let mut contents = sample().contents();
    let child = sample().roots[0].1.children[0].digest();
    contents.manifests.remove(&child);
    assert_eq!(Layout::of(&contents).unwrap_err().code(), Code::BundleMissing);

    let mut liar = Blob::layer(1, 3000);
    liar.descriptor.size += 1;
    let packed = sample().with("r.example/liar:1", Artifact::image("linux/amd64", vec![liar]));
    assert_eq!(Layout::of(&packed.contents()).unwrap_err().code(), Code::BundleSizeMismatch);
}
