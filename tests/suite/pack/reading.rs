//! Packed files read directly, as the bundles that they code.

use std::fs;

use super::sample::Sample;
use crate::support::process::files_below;

#[test]
fn every_command_that_reads_a_bundle_reads_a_packed_file() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let airlift = &sample.airlift;
    let told = |name: &str| {
        let ran = airlift.run(["inspect", name, "--json"]).success();
        let mut told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        told["path"] = "".into();
        told
    };
    assert_eq!(told("b.pack"), told("b.tar"));
    let verified = airlift.run(["verify", "b.pack"]).success();
    assert!(verified.stdout.contains("sound"), "{verified}");
    airlift.run(["import", "b.pack", "--store", "packed"]).success();
    airlift.run(["import", "b.tar", "--store", "plain"]).success();
    let blobs = |store: &str| {
        let files = files_below(&sample.path(store)).into_iter().filter(|name| name.contains("sha256"));
        files.collect::<Vec<_>>()
    };
    assert!(blobs("plain").len() > 10, "{:?}", blobs("plain"));
    assert_eq!(blobs("packed"), blobs("plain"));
    airlift.run(["export", "--from", "b.pack", "-o", "again.tar"]).success();
    assert!(sample.read("again.tar") == sample.read("b.tar"));
    airlift.run(["copy", "b.pack", "copy.pack"]).success();
    assert!(sample.read("copy.pack") == sample.read("b.pack"));
    fs::remove_file(sample.path("b.tar")).unwrap();
    airlift.run(["unpack", "copy.pack", "-o", "b.tar"]).success();
    assert!(sample.read("again.tar") == sample.read("b.tar"));
}
