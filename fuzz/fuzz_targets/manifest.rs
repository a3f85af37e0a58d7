//! Manifests and indexes: bytes survive, and nothing is read in two ways.
#![no_main]

use airlift::oci::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(manifest) = Manifest::parse(text.to_vec().into(), None) {
        assert_eq!(&manifest.raw()[..], text);
        assert!(manifest.children().is_empty() || manifest.blobs().next().is_none());
    }
});
