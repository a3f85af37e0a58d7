//! Packed files of format 1 are read for ever. The fixtures are never rewritten.

use std::fs;

use airlift::oci::Digest;

use super::recipes::{head, with_checkpoints};
use crate::support::Airlift;

/// Two versions of an image with layers by Go, pgzip and zlib, of two members, plain and dense; packed by airlift 0.1.0.
const PACKED: &[u8] = include_bytes!("golden-1.pack");

/// The bundle that is in it.
const BUNDLE: &str = "sha256:15b353e6820daa5a40674cf91bedd8934310c7dd3cb763d1f27df4724b9dae57";

/// Two versions of an image whose layers have a zip file of zlib's streams, expanded; packed by airlift 0.1.0.
const NESTED: &[u8] = include_bytes!("golden-nested-1.pack");

/// The bundle that is in that.
const NESTED_BUNDLE: &str = "sha256:4a4314af44091f7c09f577d5985f6e494eeeaf3232c681f080e3ef9ea3c46842";

/// An image with one text as three layers, by Go's level 6, pgzip and pigz, each with checkpoints; packed by airlift 0.1.0.
const CHECKPOINTS: &[u8] = include_bytes!("golden-checkpoints-1.pack");

/// The bundle that is in that.
const CHECKPOINTS_BUNDLE: &str = "sha256:14054f33c81628efeecd6c10011799e14081cae523166ec20e6aadd645f6d725";

/// An image with layers by Go, pgzip and plain; packed by airlift 0.1.0.
const BASE: &[u8] = include_bytes!("golden-base-1.pack");

/// The bundle that is in that.
const BASE_BUNDLE: &str = "sha256:b3838cc8023847b582819d884622a40bc2eae3179b9e4d01de6148c60ec07aa1";

/// The next version of that image, packed against it; packed by airlift 0.1.0.
const UPDATE: &[u8] = include_bytes!("golden-update-1.pack");

/// The bundle that is in that.
const UPDATE_BUNDLE: &str = "sha256:4433ae349d6f2693ab77753c73753a3aea51fe7f6c93fc2afb7d6cbf81869e7c";

/// Unpacks a file, and asserts which bundle it gives.
fn assert_gives(airlift: &Airlift, packed: &[u8], more: &[&str], expected: &str) {
    fs::write(airlift.home().join("golden.pack"), packed).unwrap();
    airlift.run([&["verify", "golden.pack"], more].concat()).success();
    airlift.run([&["unpack", "golden.pack", "-o", "golden.tar", "--overwrite"], more].concat()).success();
    let bundle = fs::read(airlift.home().join("golden.tar")).unwrap();
    assert_eq!(Digest::sha256(&bundle).to_string(), expected);
}

#[test]
fn a_packed_file_of_format_1_gives_the_bundle_that_it_always_gave() {
    let airlift = Airlift::new();
    for (packed, expected) in [(PACKED, BUNDLE), (NESTED, NESTED_BUNDLE), (BASE, BASE_BUNDLE)] {
        assert_gives(&airlift, packed, &[], expected);
    }
}

#[test]
fn a_packed_file_of_format_1_with_checkpoints_gives_the_bundle_that_it_always_gave() {
    assert_eq!(with_checkpoints(CHECKPOINTS), 3, "it is another file");
    assert_gives(&Airlift::new(), CHECKPOINTS, &["--jobs", "2"], CHECKPOINTS_BUNDLE);
}

#[test]
fn a_packed_file_of_format_1_with_a_base_gives_the_bundle_that_it_always_gave() {
    assert_eq!(head(UPDATE)["base"].as_array().unwrap().len(), 2, "it is another file");
    let airlift = Airlift::new();
    fs::write(airlift.home().join("golden.pack"), UPDATE).unwrap();
    airlift.run(["unpack", "golden.pack", "-o", "golden.tar"]).exits(4).says(&["pack.base-missing"]);
    fs::write(airlift.home().join("base.pack"), BASE).unwrap();
    assert_gives(&airlift, UPDATE, &["--base", "base.pack"], UPDATE_BUNDLE);
}
