//! `export --pack`: a packed file in one go.

use std::fs;

use super::{killed, sample::Sample};
use crate::support::process::files_below;

const EXPORT: [&str; 6] = ["export", "--from", "b.tar", "--pack", "-o", "e.pack"];

#[test]
fn an_export_is_packed_and_again_it_is_already_there() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let airlift = &sample.airlift;
    airlift.run(EXPORT).success();
    assert!(sample.read("e.pack") == sample.read("b.pack"));
    let again = airlift.run(EXPORT).success();
    assert!(again.stdout.contains("already there"), "{again}");
    assert_eq!(files_below(airlift.home()), ["b.pack", "b.tar", "e.pack"]);
    // Something else under the name is kept.
    let other = airlift.run(["export", "--from", "b.tar", "r.example/team/app:1", "--pack", "-o", "e.pack"]);
    other.exits(1).says(&["output.exists", "e.pack"]);
    assert!(sample.read("e.pack") == sample.read("b.pack"));
}

#[test]
fn recovery_data_and_statements_are_of_the_packed_file() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    airlift.run(["keygen", "-o", "ops"]).success();
    airlift.run(EXPORT.into_iter().chain(["--recovery", "20%", "--sign", "ops.key"])).success();
    fs::write(sample.path("trust.toml"), "[[signer]]\nname = \"ops\"\nkey = \"ops.pub\"\n").unwrap();
    let sound = sample.read("e.pack");
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(sample.path("e.pack"), damaged).unwrap();
    airlift.run(["verify", "e.pack"]).exits(4);
    airlift.run(["repair", "e.pack"]).success();
    assert!(sample.read("e.pack") == sound);
    airlift.run(["verify", "e.pack", "--trust", "trust.toml"]).success();
    // The statement is of the bundle inside.
    let statement: serde_json::Value = serde_json::from_slice(&sample.read("e.pack.transfer.json")).unwrap();
    assert_eq!(statement["bundle"]["id"], airlift.json(["inspect", "b.tar", "--json"])["bundle"]);
}

#[test]
fn a_packed_export_is_here_and_checked_later() {
    let sample = Sample::new();
    for more in [&["--check-with", "check {digest}"][..], &["--volume-size", "1MB", "--only-volume", "1"]] {
        let refused = sample.airlift.run(EXPORT.into_iter().chain(more.iter().copied()));
        refused.exits(2).says(&["--pack", "airlift copy"]);
    }
    let far = sample.airlift.run(["export", "--from", "b.tar", "--pack", "-o", "s3://bucket/e.pack"]);
    far.exits(2).says(&["--pack", "airlift copy"]);
    assert_eq!(files_below(sample.airlift.home()), ["b.tar"]);
}

#[test]
fn a_packed_export_that_is_killed_is_finished_by_the_same_command() {
    let sample = Sample::new();
    sample.pack("whole.pack", &[]);
    killed(&sample, &EXPORT, "e.pack", &sample.read("whole.pack"), 4);
}
