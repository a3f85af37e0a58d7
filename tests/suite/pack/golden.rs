//! Packed files of format 1 are read for ever. The fixtures are never rewritten.

use std::fs;

use airlift::oci::Digest;

use crate::support::Airlift;

/// Two versions of an image with layers by Go, pgzip and zlib, of two members, plain and dense; packed by airlift 0.1.0.
const PACKED: &[u8] = include_bytes!("golden-1.pack");

/// The bundle that is in it.
const BUNDLE: &str = "sha256:15b353e6820daa5a40674cf91bedd8934310c7dd3cb763d1f27df4724b9dae57";

/// Two versions of an image whose layers have a zip file of zlib's streams, expanded; packed by airlift 0.1.0.
const NESTED: &[u8] = include_bytes!("golden-nested-1.pack");

/// The bundle that is in that.
const NESTED_BUNDLE: &str = "sha256:4a4314af44091f7c09f577d5985f6e494eeeaf3232c681f080e3ef9ea3c46842";

#[test]
fn a_packed_file_of_format_1_gives_the_bundle_that_it_always_gave() {
    let airlift = Airlift::new();
    for (packed, expected) in [(PACKED, BUNDLE), (NESTED, NESTED_BUNDLE)] {
        fs::write(airlift.home().join("golden.pack"), packed).unwrap();
        airlift.run(["verify", "golden.pack"]).success();
        airlift.run(["unpack", "golden.pack", "-o", "golden.tar", "--overwrite"]).success();
        let bundle = fs::read(airlift.home().join("golden.tar")).unwrap();
        assert_eq!(Digest::sha256(&bundle).to_string(), expected);
    }
}
