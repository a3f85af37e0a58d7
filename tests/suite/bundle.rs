//! Bundles from outside: written in any order and after any break the same bytes, read by us and by others.

use std::{fs, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use airlift::{
    bundle::{Contents, Format, Index, Layout, Reader, Root, StreamWriter, Writer},
    content::{
        self, ByteStream, Code, Fault as _, Lookup, Referrers, Resolve, Result, Sink, Source, Verified, conformance,
        faulty::{Faulty, InjectedFault},
        memory::Memory,
    },
    oci::{Descriptor, Manifest, Name, media_type},
};
use futures::{StreamExt, TryStreamExt, stream};

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
        let (writer, blob) = (Arc::clone(&writer), place.descriptor());
        let body = packed.body(&blob);
        async move { writer.push(&blob, body).await.unwrap() }
    });
    futures::future::join_all(pushes).await;
    Arc::into_inner(writer).unwrap().finish().await.unwrap();

    let mut streamed = Vec::new();
    let mut stream = StreamWriter::new(&packed.contents(), &mut streamed).unwrap();
    for place in stream.layout().blobs().to_vec() {
        stream.push(&place.descriptor(), packed.body(&place.descriptor())).await.unwrap();
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
    let place = writer.layout().blobs()[3];
    writer.push(&place.descriptor(), packed.body(&place.descriptor())).await.unwrap();
    drop(writer);
    assert!(!path.exists());

    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert_eq!(writer.present(), place.whole);
    assert!(writer.contains(&place.descriptor()).await.unwrap());
    let unfinished = writer.finish().await.unwrap_err();
    assert_eq!(unfinished.code(), Code::Internal);

    // Another set of artifacts under the same name: what both have is moved, not fetched again.
    let mut other = packed.clone();
    other.roots.push(("r.example/a-first:1".to_owned(), Artifact::small(77, 5000)));
    let writer = Writer::open(&path, other.contents(), false).await.unwrap();
    assert!(writer.contains(&place.descriptor()).await.unwrap());
    drop(writer);
    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert_eq!(writer.present(), place.whole);
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
    let place = writer.layout().blobs()[4];
    drop(writer);
    let partial = folder.path().join("b.tar.partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes[usize::try_from(place.offset).unwrap()] ^= 1;
    fs::write(&partial, bytes).unwrap();

    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    assert!(!writer.contains(&place.descriptor()).await.unwrap());
    assert_eq!(writer.present(), writer.layout().blob_bytes() - place.whole);
}

#[tokio::test]
async fn an_artifact_that_failed_is_planned_out_and_nothing_is_fetched_twice() {
    let folder = tempfile::tempdir().unwrap();
    let all = sample().with("r.example/a-broken:1", Artifact::small(5, 4000));
    let path = folder.path().join("b.tar");
    let writer = Writer::open(&path, all.contents(), false).await.unwrap();
    for place in writer.layout().blobs().to_vec() {
        writer.push(&place.descriptor(), all.body(&place.descriptor())).await.unwrap();
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
    let place = *writer.layout().blobs().last().unwrap();
    let place = *writer.layout().blobs().iter().find(|other| other.whole == 3000).unwrap_or(&place);
    for fault in [InjectedFault::Flip(2999), InjectedFault::Cut(100), InjectedFault::Break(100), InjectedFault::Grow] {
        let memory = Memory::new();
        memory.push(&place.descriptor(), packed.body(&place.descriptor())).await.unwrap();
        let faulty = Arc::new(Faulty::new(memory, fault));
        let body = Verified::open(faulty, &place.descriptor()).await.unwrap();
        writer.push(&place.descriptor(), body).await.unwrap_err();
        assert!(!writer.contains(&place.descriptor()).await.unwrap(), "{fault:?}");
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

/// A writer with eyes: what it holds can be read back from its partial file.
struct Seen {
    writer: Writer,
    partial: PathBuf,
}

#[async_trait::async_trait]
impl Lookup for Seen {
    async fn contains(&self, content: &Descriptor) -> Result<bool> {
        self.writer.contains(content).await
    }
}

#[async_trait::async_trait]
impl Sink for Seen {
    async fn push(&self, content: &Descriptor, body: Verified) -> Result<()> {
        self.writer.push(content, body).await
    }
}

#[async_trait::async_trait]
impl Source for Seen {
    async fn fetch(&self, content: &Descriptor, from: u64) -> Result<ByteStream> {
        if !self.contains(content).await? {
            return Err(content::Error::NotFound { what: content.digest.to_string() });
        }
        let place = *self.writer.layout().place(&content.digest).unwrap();
        let mut bytes = vec![0; usize::try_from(content.size - from).unwrap()];
        fs::File::open(&self.partial).unwrap().read_exact_at(&mut bytes, place.offset + from).unwrap();
        Ok(stream::iter([Ok(bytes.into())]).boxed())
    }
}

#[tokio::test]
async fn the_writer_is_a_place_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let mut planned = conformance::planned();
    let config = planned.remove(0);
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": planned,
    });
    let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
    let root = Root { reference: "r.example/a:1".parse().unwrap(), descriptor: manifest.descriptor().clone() };
    let manifests = [(manifest.digest(), manifest)].into();
    let contents = Contents { index: Index::new(vec![root], Vec::new()), manifests, absent: [].into() };
    let writer = Writer::open(&path, contents, false).await.unwrap();
    conformance::content(&Seen { writer, partial: folder.path().join("b.tar.partial") }).await;
}

/// Large enough for marks in the journal.
const LARGE: usize = (150 << 20) + 5;

#[tokio::test]
async fn a_large_blob_that_broke_off_is_resumed_from_its_last_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let packed = Packed::new().with("r.example/a:1", Artifact::small(4, LARGE));
    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    let layer = writer.layout().blobs()[1].descriptor();
    assert_eq!(layer.size, LARGE as u64);
    assert!(writer.arrived(&layer).is_none());
    let memory = Memory::new();
    memory.push(&layer, packed.body(&layer)).await.unwrap();
    let broken = Arc::new(Faulty::new(memory, InjectedFault::Break(140 << 20)));
    let body = Verified::open(broken, &layer).await.unwrap();
    writer.push(&layer, body).await.unwrap_err();
    let (_, there) = writer.arrived(&layer).unwrap();
    drop(writer);

    // Another run finds it, with a hasher that has taken in what is there.
    let writer = Writer::open(&path, packed.contents(), false).await.unwrap();
    let (hasher, bytes) = writer.arrived(&layer).unwrap();
    assert!(bytes == there && bytes >= 128 << 20, "{bytes}");
    assert!(!writer.contains(&layer).await.unwrap());
    let memory = Memory::new();
    memory.push(&layer, packed.body(&layer)).await.unwrap();
    let counted = Arc::new(Faulty::new(memory, InjectedFault::Refuse(0)));
    let body = Verified::resume(counted, &layer, hasher, bytes).await.unwrap();
    writer.push(&layer, body).await.unwrap();
    assert!(writer.arrived(&layer).is_none());
    packed.fill(&writer).await;
    writer.finish().await.unwrap();
    assert!(Reader::open(&path).await.is_ok());

    // Nobody goes on from what turned out wrong in the end.
    let writer = Writer::open(&path, packed.contents(), true).await.unwrap();
    let memory = Memory::new();
    memory.push(&layer, packed.body(&layer)).await.unwrap();
    let wrong = Arc::new(Faulty::new(memory, InjectedFault::Flip(1)));
    writer.push(&layer, Verified::open(wrong, &layer).await.unwrap()).await.unwrap_err();
    assert!(writer.arrived(&layer).is_none());
    drop(writer);

    // A beginning that was damaged on the disk is not gone on from.
    let writer = Writer::open(&path, packed.contents(), true).await.unwrap();
    assert!(writer.arrived(&layer).is_none());
    let memory = Memory::new();
    memory.push(&layer, packed.body(&layer)).await.unwrap();
    let broken = Arc::new(Faulty::new(memory, InjectedFault::Break(70 << 20)));
    writer.push(&layer, Verified::open(broken, &layer).await.unwrap()).await.unwrap_err();
    let offset = writer.layout().place(&layer.digest).unwrap().offset;
    drop(writer);
    let partial = fs::OpenOptions::new().write(true).open(folder.path().join("b.tar.partial")).unwrap();
    partial.write_all_at(b"damaged", offset + 1000).unwrap();
    let writer = Writer::open(&path, packed.contents(), true).await.unwrap();
    assert!(writer.arrived(&layer).is_none());
}

#[tokio::test]
async fn a_bundle_that_does_not_fit_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let mut image = Artifact::small(1, 10);
    let huge = Descriptor::new(LAYER, image.blobs[1].descriptor.digest, 1 << 60);
    image.blobs[1].descriptor = huge;
    let image = Artifact::manifest(None, image.blobs[0].clone(), vec![image.blobs[1].clone()], None);
    let packed = Packed::new().with("r.example/a:1", image);
    let error = Writer::open(&path, packed.contents(), false).await.unwrap_err();
    assert_eq!(error.code(), Code::OutputSpace);
    let needed = Layout::of(&packed.contents()).unwrap().total();
    assert!(error.to_string().contains(&needed.to_string()), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_link_laid_in_the_way_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let victim = folder.path().join("victim");
    for name in ["b.tar.partial", "b.tar.partial.journal"] {
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(name)).unwrap();
        let error = Writer::open(&path, sample().contents(), false).await.unwrap_err();
        assert_eq!(error.code(), Code::OutputForeign, "{error}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        fs::remove_file(folder.path().join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_stream_takes_its_blobs_in_order_only() {
    let packed = sample();
    let mut out = Vec::new();
    let mut stream = StreamWriter::new(&packed.contents(), &mut out).unwrap();
    let second = stream.layout().blobs()[1].descriptor();
    let error = stream.push(&second, packed.body(&second)).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(stream.finish().await.unwrap_err().code(), Code::Internal);
}
