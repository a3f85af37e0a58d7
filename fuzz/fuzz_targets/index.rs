//! `index.json` and `airlift.json`: what is taken for ours has exactly one form, and no text brings the parsers down.
#![no_main]

use airlift::bundle::{Facts, Index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(index) = Index::parse(text) {
        assert_eq!(index.to_json(), text);
    }
    if let Ok(facts) = Facts::parse(text) {
        assert_eq!(facts.to_json(), text);
    }
    if let Ok(index) = Index::parse_foreign(text, "file.tar") {
        // Whatever names another tool gave, ours for them are canonical.
        let json = index.to_json();
        assert_eq!(Index::parse(&json).expect("our own form").to_json(), json);
    }
});
