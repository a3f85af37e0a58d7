//! Files that are no bundles, or were made to hurt: each is refused, by a reason of its own that says where.

mod large;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use airlift::{
    bundle::{Absent, Contents, Error, Index, Layout, Reader, Reason, Root, Writer, header},
    content::{Code, Fault, Source},
    oci::{Algorithm, Descriptor, Digest, Manifest, media_type},
    progress::Progress,
    transfer::verify::{Finding, verify},
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use rstest::rstest;
use tar::{EntryType, Header};

use crate::support::{
    Ran,
    artifacts::{Artifact, Blob, LAYER, noise},
    needs,
    packed::Packed,
    peers,
};

fn sample() -> Packed {
    Packed::new().with("r.example/a:1", Artifact::image("linux/amd64", vec![Blob::layer(1, 700), Blob::layer(2, 700)]))
}

async fn open(path: &Path) -> Error {
    match Reader::open(path).await {
        Ok(reader) => panic!("{} was taken for {:?}", path.display(), reader.format()),
        Err(error) => error,
    }
}

async fn findings(path: &Path) -> Vec<Finding> {
    let reader = Reader::open(path).await.unwrap();
    verify(&reader, 2, &Progress::silent()).await.unwrap().findings
}

#[rstest]
#[case::empty(b"", "empty")]
#[case::page(b"  <!DOCTYPE html><html>Sign in", "web page")]
#[case::zip(b"PK\x03\x04rest", "zip")]
#[case::json(b"{\"a\":1}", "JSON")]
#[case::zeros(&[0; 2048], "zeros")]
#[case::text(b"just some text that is not a bundle", "header of a tar")]
#[tokio::test]
async fn what_is_no_bundle_is_told_as_what_it_is(#[case] content: &[u8], #[case] hint: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar");
    fs::write(&path, content).unwrap();
    let error = open(&path).await;
    assert_eq!(error.code(), Code::BundleUnknown);
    let text = error.to_string();
    assert!(text.contains(hint) && text.contains("bundle.tar"), "{text}");
}

#[tokio::test]
async fn folders_devices_and_noise_are_no_bundles() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).await.code(), Code::BundleUnknown);
    assert_eq!(open(Path::new("/dev/zero")).await.code(), Code::BundleUnknown);
    assert_eq!(open(&folder.path().join("absent")).await.code(), Code::IoRead);
    for seed in 0..20 {
        let path = folder.path().join("noise");
        fs::write(&path, noise(seed, 5000)).unwrap();
        assert_eq!(open(&path).await.code(), Code::BundleUnknown);
    }
}

/// A tar by hand, without the opinions of a library.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// A layout with one image in it, as another tool would write it, not yet ended.
    fn layout() -> Self {
        let packed = sample();
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [packed.roots[0].1.root.descriptor()] });
        let mut tar = Self::default();
        tar.file("oci-layout", b"{\"imageLayoutVersion\": \"1.0.0\"}");
        tar.file("index.json", index.to_string().as_bytes());
        for manifest in packed.roots[0].1.manifests() {
            tar.file(&header::blob_name(&manifest.digest()), manifest.raw());
        }
        for (digest, content) in packed.blobs() {
            tar.file(&header::blob_name(&digest), &content);
        }
        tar
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, EntryType::Regular, content);
    }

    fn entry(&mut self, name: &str, kind: EntryType, content: &[u8]) {
        self.header(name, kind, content.len() as u64);
        self.content(content);
    }

    fn header(&mut self, name: &str, kind: EntryType, size: u64) {
        let mut header = Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
    }

    fn content(&mut self, content: &[u8]) {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// PAX records for the next entry.
    fn pax(&mut self, kind: EntryType, records: &[(&str, &str)]) {
        let record = |(key, value): &(&str, &str)| {
            let rest = format!(" {key}={value}\n");
            let length = (rest.len()..1000).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
            format!("{length}{rest}")
        };
        let text: String = records.iter().map(record).collect();
        self.entry("PaxHeaders/x", kind, text.as_bytes());
    }

    fn end(&mut self) -> &[u8] {
        self.0.extend_from_slice(&[0; 1024]);
        &self.0
    }
}

async fn refused(name: &str, build: impl FnOnce(&mut Tar)) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{name}.tar"));
    let mut tar = Tar::layout();
    build(&mut tar);
    fs::write(&path, tar.end()).unwrap();
    open(&path).await
}

#[tokio::test]
async fn the_archive_by_hand_is_sound_in_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let mut tar = Tar::layout();
    tar.entry("blobs/", EntryType::Directory, b"");
    tar.file("./manifest.json", b"[]");
    tar.pax(EntryType::XHeader, &[("path", "some/other"), ("mtime", "1.5")]);
    tar.file("short", b"");
    fs::write(&path, tar.end()).unwrap();
    assert_eq!(findings(&path).await, []);
}

#[rstest]
#[case::hard_link(EntryType::Link, "a hard link")]
#[case::symbolic_link(EntryType::Symlink, "a symbolic link")]
#[case::character_device(EntryType::Char, "a character device")]
#[case::block_device(EntryType::Block, "a block device")]
#[case::pipe(EntryType::Fifo, "a named pipe")]
#[case::sparse(EntryType::GNUSparse, "a sparse file")]
#[case::long_link(EntryType::GNULongLink, "a GNU long link")]
#[case::unknown(EntryType::new(b'Q'), "unknown type")]
#[tokio::test]
async fn entries_that_are_no_files_are_refused(#[case] kind: EntryType, #[case] what: &str) {
    let error = refused("kind", |tar| tar.entry("evil", kind, b"")).await;
    assert_eq!(error.code(), Code::BundleEntry);
    let text = error.to_string();
    assert!(text.contains(what) && text.contains("evil") && error.offset().is_some_and(|at| at > 0), "{text}");
}

#[rstest]
#[case("../evil")]
#[case("blobs/../../evil")]
#[case("/etc/passwd")]
#[case("./../evil")]
#[case("blobs//sha256")]
#[case("blobs/./sha256")]
#[case("blobs\\sha256")]
#[case("index.json")]
#[case("./index.json")]
#[tokio::test]
async fn names_that_mislead_are_refused(#[case] name: &str) {
    let error = refused("name", |tar| tar.file(name, b"{}")).await;
    assert_eq!(error.code(), Code::BundleEntry, "{error}");
    let long = refused("long", |tar| {
        tar.entry("././@LongLink", EntryType::GNULongName, format!("{name}\0").as_bytes());
        tar.file("short", b"{}");
    });
    assert_eq!(long.await.code(), Code::BundleEntry);
    let pax = refused("pax", |tar| {
        tar.pax(EntryType::XHeader, &[("path", name)]);
        tar.file("short", b"{}");
    });
    assert_eq!(pax.await.code(), Code::BundleEntry);
}

#[tokio::test]
async fn pax_headers_that_disagree_are_refused() {
    let two_sizes = refused("size", |tar| {
        tar.pax(EntryType::XHeader, &[("size", "512")]);
        tar.file("x", &[b'x'; 1024]);
    });
    assert_eq!(two_sizes.await.code(), Code::BundleEntry);
    let zero = refused("zero", |tar| {
        tar.pax(EntryType::XHeader, &[("size", "512")]);
        tar.file("x", b"");
        tar.content(&[b'x'; 512]);
    });
    assert_eq!(zero.await.code(), Code::BundleEntry, "a size that ustar could have said");
    let sparse = refused("sparse", |tar| {
        tar.pax(EntryType::XHeader, &[("GNU.sparse.major", "1"), ("GNU.sparse.name", "x")]);
        tar.file("x", b"1");
    });
    assert_eq!(sparse.await.code(), Code::BundleEntry);
    for key in ["size", "path", "GNU.sparse.size"] {
        let global = refused("global", |tar| tar.pax(EntryType::XGlobalHeader, &[(key, "1")]));
        assert_eq!(global.await.code(), Code::BundleEntry, "{key}");
    }
    let twice = refused("twice", |tar| {
        tar.pax(EntryType::XHeader, &[("size", "1"), ("size", "2")]);
        tar.file("x", b"1");
    });
    assert_eq!(twice.await.code(), Code::BundleStructure);
    for record in ["99 path=x\n", "8 path=x", "path=x\n", "-1 path=x\n", "9999999999999999999999 path=x\n", "5 x\n"] {
        let malformed = refused("record", |tar| {
            tar.entry("p", EntryType::XHeader, record.as_bytes());
            tar.file("x", b"1");
        });
        assert_eq!(malformed.await.code(), Code::BundleStructure, "{record:?}");
    }
}

#[tokio::test]
async fn broken_structure_is_told_with_its_place() {
    let at = Tar::layout().0.len();
    let checksum = refused("checksum", |tar| {
        tar.file("x", b"1");
        tar.0[at + 3] ^= 1;
    })
    .await;
    assert_eq!((checksum.code(), checksum.offset()), (Code::BundleStructure, Some(at as u64)));
    let trailing = refused("trailing", |tar| {
        tar.end();
        tar.0.extend_from_slice(&[0; 512]);
        tar.0.extend_from_slice(b"more");
    });
    assert_eq!(trailing.await.code(), Code::BundleStructure);
    let beyond = refused("beyond", |tar| tar.header("x", EntryType::Regular, 1 << 40)).await;
    assert_eq!(beyond.code(), Code::BundleTruncated);
    for field in [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\x80\0\0\x01\0\0\0\0\0\0\0\0", b"12x\0"] {
        let size = refused("size", |tar| {
            let mut header = Header::new_ustar();
            header.as_ustar_mut().unwrap().size[..field.len()].copy_from_slice(field);
            header.set_cksum();
            tar.0.extend_from_slice(header.as_bytes());
        });
        assert_eq!(size.await.code(), Code::BundleStructure);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tar");
    let mut tar = Tar::layout();
    let whole = tar.end().to_vec();
    for length in [whole.len() - 512, whole.len() - 1024, whole.len() - 1500, 1024, 700] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(open(&path).await.code(), Code::BundleTruncated, "{length}");
    }
}

#[tokio::test]
async fn an_archive_that_would_fill_the_disk_is_not_expanded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.tar.gz");
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::best());
    for _ in 0..64 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap();
    assert_eq!(open(&path).await.code(), Code::ContentTooLarge);
}

/// A header that is well-formed but not the planned one.
#[rstest]
#[case(EntryType::Symlink, None, Code::BundleEntry)]
#[case(EntryType::Link, None, Code::BundleEntry)]
#[case(EntryType::Regular, Some("../evil"), Code::BundleForeignEntry)]
#[tokio::test]
async fn a_bundle_with_another_entry_in_place_of_a_blob_is_not_sound(
    #[case] kind: EntryType,
    #[case] name: Option<&str>,
    #[case] code: Code,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    sample().write(&path).await;
    let place = Reader::open(&path).await.unwrap().layout().unwrap().blobs()[1];
    let name = name.map_or_else(|| header::blob_name(&place.digest), str::to_owned);
    let mut tar = Tar::default();
    tar.header(&name, kind, place.whole);
    File::options().write(true).open(&path).unwrap().write_all_at(&tar.0, place.header_offset).unwrap();

    let found = findings(&path).await;
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), [code], "{found:?}");
    assert_eq!(found[0].offset, Some(place.header_offset));
    let reader = Reader::open(&path).await.unwrap();
    assert!(reader.fetch(&place.descriptor(), 0).await.is_err(), "nor is it read");
}

#[tokio::test]
async fn every_finding_is_listed_with_all_artifacts_that_need_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let both = sample().with("r.example/b:1", Artifact::small(9, 600)).with("r.example/c:1", Artifact::small(9, 600));
    both.write(&path).await;
    let reader = Reader::open(&path).await.unwrap();
    let layout = reader.layout().unwrap().clone();
    let file = File::options().write(true).open(&path).unwrap();
    let known = reader.contents().manifests.values().flat_map(Manifest::layers);
    let known: std::collections::HashSet<_> = known.map(|layer| layer.digest).collect();
    let layers: Vec<_> = layout.blobs().iter().filter(|place| known.contains(&place.digest)).collect();
    for place in &layers {
        file.write_all_at(b"\0", place.offset + 99).unwrap();
    }
    file.write_all_at(b"x", layout.total() - 1).unwrap();
    let found = findings(&path).await;
    let names = |one: &Finding| one.artifacts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let told: Vec<_> = found.iter().map(|one| (one.code, names(one))).collect();
    let damaged = |artifacts: &str| (Code::BundleDigestMismatch, artifacts.to_owned());
    assert_eq!(
        told,
        [
            damaged("r.example/a:1"),
            damaged("r.example/a:1"),
            damaged("r.example/b:1 r.example/c:1"),
            (Code::BundleStructure, "r.example/b:1 r.example/c:1".to_owned()),
        ]
    );
    assert_eq!(found[0].offset, Some(layers[0].offset));
}

#[tokio::test]
async fn trailing_bytes_after_a_bundle_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    sample().write(&path).await;
    File::options().append(true).open(&path).unwrap().write_all(&[0]).unwrap();
    assert_eq!(open(&path).await.code(), Code::BundleStructure);
}

/// Contents with a platform left out.
fn sparse() -> (Contents, Digest) {
    let artifact = Artifact::multi_platform(1, 700);
    let absent = &artifact.root.children()[1];
    let packed = Packed::new().with("r.example/a:1", artifact.clone());
    let mut contents = packed.contents();
    contents.manifests.remove(&absent.digest);
    let (digest, size) = (absent.digest, absent.size);
    contents.absent.insert(digest, Absent::new(digest, Reason::Platform, size));
    (contents, digest)
}

#[tokio::test]
async fn what_is_absent_on_purpose_is_no_finding_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let (contents, absent) = sparse();
    let packed = Packed::new().with("r.example/a:1", Artifact::multi_platform(1, 700));
    let writer = Writer::open(&path, contents, false).await.unwrap();
    packed.fill(&writer).await;
    writer.finish().await.unwrap();
    let reader = Reader::open(&path).await.unwrap();
    assert!(reader.facts().unwrap().absent.iter().any(|fact| fact.digest == absent && fact.reason == Reason::Platform));
    assert_eq!(findings(&path).await, []);

    // Whoever seals anew can only say what the manifests bear out.
    let bytes = fs::read(&path).unwrap();
    let text = reader.facts().unwrap().to_json();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    let size = String::from_utf8(text.clone()).unwrap();
    let digits = size.find("\"size\":").unwrap() + "\"size\":".len();
    let mut lie = bytes.clone();
    lie[at + digits] = if lie[at + digits] == b'9' { b'8' } else { lie[at + digits] + 1 };
    fs::write(&path, lie).unwrap();
    assert_eq!(open(&path).await.code(), Code::BundleSeal);
}
