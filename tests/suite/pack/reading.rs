//! Packed files read directly, as the bundles that they code.

use std::fs;

use super::{base::versions, sample::Sample};
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

#[test]
fn a_packed_file_answers_as_the_plain_bundle_does() {
    let sample = versions();
    let airlift = &sample.airlift;
    fs::write(sample.path("doc.txt"), "read me\n".repeat(20_000)).unwrap();
    let named = ["r.example/team/app:2", "file:doc.txt=team/doc:v1"];
    airlift.run([&["export", "--from", "v2.tar", "-o", "all.tar"][..], &named].concat()).success();
    airlift.run(["pack", "all.tar", "--base", "v1.tar", "-o", "all.pack"]).success();
    // What is printed and written must be the same, but for the names of the two.
    let answer = |args: &[&str], bundle: &str, more: &[&str]| {
        let folder = sample.path(&format!("{bundle}.out"));
        fs::create_dir(&folder).unwrap();
        let output = folder.to_str().unwrap();
        let args = args.iter().map(|arg| match *arg {
            "BUNDLE" => bundle,
            "OUT" => output,
            arg => arg,
        });
        let ran = airlift.run(args.chain(more.iter().copied())).success();
        let files = files_below(&folder).into_iter().map(|name| (fs::read(folder.join(&name)).unwrap(), name));
        let answer = (ran.stdout.replace(output, "OUT").replace(bundle, "BUNDLE"), files.collect::<Vec<_>>());
        fs::remove_dir_all(&folder).unwrap();
        answer
    };
    let base: &[&str] = &["--base", "v1.tar"];
    let cases: [(&[&str], &[&str]); 8] = [
        (&["inspect", "BUNDLE", "--tree"], base),
        (&["inspect", "BUNDLE", "--sums"], &[]),
        (&["inspect", "BUNDLE", "--json"], base),
        (&["diff", "v1.tar", "BUNDLE"], &[]),
        (&["find", "BUNDLE"], &[]),
        (&["extract", "BUNDLE", "team/doc:v1", "-o", "OUT"], base),
        (&["load", "BUNDLE", "--platform", "linux/amd64", "--into", "OUT"], base),
        (&["import", "BUNDLE", "--dry-run", "--store", "store"], base),
    ];
    for (args, more) in cases {
        let (plain, packed) = (answer(args, "all.tar", &[]), answer(args, "all.pack", more));
        assert!(!plain.0.is_empty(), "{args:?} answers nothing");
        assert!(plain == packed, "{args:?}: {} and {}", plain.0, packed.0);
    }
    airlift.run(["pack", "all.tar", "-o", "alone.pack"]).success();
    airlift.run(["export", "--from", "alone.pack", "-o", "again.tar"]).success();
    assert!(sample.read("again.tar") == sample.read("all.tar"));
}
