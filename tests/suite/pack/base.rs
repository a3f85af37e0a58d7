//! Packed against what the receiver has.

use std::{
    fs,
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use airlift::{
    bundle::Reader,
    oci::Digest,
    pack::{BaseContents, BundleBase, PackedFile, ReadSettings},
    progress::Progress,
    transfer::verify::verify,
};

use super::sample::Sample;
use crate::support::process::files_below;

/// The two versions of the sample, each in a bundle of its own.
pub(super) fn versions() -> Sample {
    // Each is coded by itself, so that the base counts.
    let sample = Sample::sized([300_000, 100_000]);
    for version in ["1", "2"] {
        let (artifact, output) = (format!("r.example/team/app:{version}"), format!("v{version}.tar"));
        sample.airlift.run(["export", "--from", "b.tar", &artifact, "-o", &output]).success();
    }
    sample
}

#[test]
fn an_update_needs_few_bytes_beside_its_base_and_comes_back_whole() {
    let sample = versions();
    let airlift = &sample.airlift;
    let pack = |output: &str, more: &[&str]| {
        airlift.run([&["pack", "v2.tar", "-o", output], more].concat()).success();
        fs::metadata(sample.path(output)).unwrap().len()
    };
    let (alone, against) = (pack("alone.pack", &[]), pack("v2.pack", &["--base", "v1.tar"]));
    assert!(against * 5 < alone * 4, "{against} bytes with a base, {alone} without");
    airlift.run(["unpack", "v2.pack", "--base", "v1.tar", "-o", "back.tar"]).success();
    assert!(sample.read("back.tar") == sample.read("v2.tar"));
    // A packed file may be the base, too.
    airlift.run(["pack", "v1.tar", "-o", "v1.pack"]).success();
    airlift.run(["import", "v2.pack", "--base", "v1.pack", "--store", "packed"]).success();
    airlift.run(["import", "v2.tar", "--store", "plain"]).success();
    let blobs = |store: &str| {
        let files = files_below(&sample.path(store)).into_iter().filter(|name| name.contains("sha256"));
        files.collect::<Vec<_>>()
    };
    assert_eq!(blobs("packed"), blobs("plain"));
}

/// Base layers, with how often any was opened.
#[derive(Debug)]
struct CountedBase(BundleBase, AtomicUsize);

impl BaseContents for CountedBase {
    fn open(&self, layer: &Digest, gzip: bool) -> airlift::pack::Result<Box<dyn Read + Send>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.open(layer, gzip)
    }

    fn has(&self, layer: &Digest) -> bool {
        self.0.has(layer)
    }
}

#[test]
fn a_base_layer_is_read_once_for_all_frames_of_a_layer() {
    let sample = versions();
    // Frames of 128 KiB: some layers have three.
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar", "--memory", "4MiB"]).success();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let opened = runtime.block_on(async {
        let base = BundleBase::new([Reader::open(&sample.path("v1.tar")).await.unwrap()]).unwrap();
        let base = Arc::new(CountedBase(base, AtomicUsize::new(0)));
        let settings = ReadSettings { memory: 4 << 20, base: Some(base.clone()), ..ReadSettings::default() };
        let packed = PackedFile::open(&sample.path("v2.pack"), settings).await.unwrap();
        assert!(verify(packed.reader(), 1, &Progress::silent()).await.unwrap().is_sound());
        base.1.load(Ordering::Relaxed)
    });
    let layers = sample.layers.len();
    assert!((1..=layers).contains(&opened), "base layers were opened {opened} times for {layers} layers");
}

#[test]
fn a_base_that_is_missing_or_another_is_named_at_open() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let missing = ["pack.base-missing", "v2.pack", "sha256:", "--base"];
    airlift.run(["unpack", "v2.pack", "-o", "x.tar"]).exits(4).says(&missing);
    airlift.run(["unpack", "v2.pack", "--base", "v2.tar", "-o", "x.tar"]).exits(4).says(&missing);
    airlift.run(["verify", "v2.pack"]).exits(4).says(&["pack.base-missing"]);
    airlift.run(["import", "v2.pack", "--store", "store"]).exits(4).says(&missing);
    let left = files_below(airlift.home());
    assert!(!left.iter().any(|name| name.starts_with("x.tar") || name.contains("blobs/sha256")), "{left:?}");
}

#[test]
fn a_damaged_base_publishes_nothing() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let mut base = sample.read("v1.tar");
    // Every content of the base is another one: each has something in this stretch or behind it.
    let middle = base.len() / 3;
    base[middle..].iter_mut().step_by(2000).for_each(|byte| *byte ^= 1);
    fs::write(sample.path("v1.tar"), base).unwrap();
    let blamed = ["pack.base-damaged", "the base layer sha256:", "in v1.tar is damaged", "v2.pack", "--base"];
    airlift.run(["unpack", "v2.pack", "--base", "v1.tar", "-o", "x.tar"]).exits(4).says(&blamed);
    assert!(!sample.path("x.tar").exists());
    let verified = airlift.run(["verify", "v2.pack", "--base", "v1.tar"]).exits(4);
    assert!(verified.stdout.contains("in v1.tar is damaged"), "{verified}");
    airlift.run(["import", "v2.pack", "--base", "v1.tar", "--store", "store"]).exits(4).says(&["in v1.tar is damaged"]);
    assert!(!files_below(&sample.path("store")).iter().any(|name| name.contains("tags")), "something was published");
}

#[test]
fn every_command_that_reads_takes_the_base() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let verified = airlift.run(["verify", "v2.pack", "--base", "v1.tar"]).success();
    assert!(verified.stdout.contains("sound"), "{verified}");
    let listed = airlift.run(["inspect", "v2.pack", "--base", "v1.tar", "--memory", "512MiB"]).success();
    assert!(listed.stdout.contains("r.example/team/app:2"), "{listed}");
    airlift.run(["verify", "v2.pack", "--base", "v1.tar", "--memory", "64KiB"]).exits(4).says(&["pack.memory"]);
}

#[test]
fn an_import_takes_the_base_from_the_target() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    airlift.run(["import", "v1.tar", "--store", "there"]).success();
    airlift.run(["import", "v2.pack", "--store", "there"]).success();
    airlift.run(["export", "--from", "there", "localhost/team/app:2", "-o", "back.tar"]).success();
    let layers = |name: &str| {
        let told = airlift.json(["inspect", name, "--sums", "--json"]);
        told["blobs"].as_array().unwrap().iter().map(|blob| blob["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(layers("back.tar").len(), layers("v2.tar").len());
    // Elsewhere the layers are not those of this artifact.
    airlift.run(["import", "v1.tar", "--store", "other", "--map", "team=another"]).success();
    airlift.run(["import", "v2.pack", "--store", "other"]).exits(4).says(&["pack.base-missing", "v2.pack"]);
}

#[test]
fn a_base_that_is_damaged_in_the_target_publishes_nothing() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    airlift.run(["import", "v1.tar", "--store", "there"]).success();
    for name in files_below(&sample.path("there")).into_iter().filter(|name| name.contains("sha256")) {
        let path = sample.path("there").join(name);
        let mut bytes = fs::read(&path).unwrap();
        if bytes.len() > 20_000 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let blamed = ["the base layer sha256:", "team/app is damaged", "v2.pack"];
    airlift.run(["import", "v2.pack", "--store", "there"]).exits(4).says(&blamed);
    airlift.run(["export", "--from", "there", "localhost/team/app:2", "-o", "back.tar"]).exits(1);
}
