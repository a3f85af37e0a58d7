//! Manifests, charts' metadata, compose files, Dockerfiles and lists: no text brings the search down, and what it writes is
//! a list that is read back.
#![no_main]

use airlift::find::{Confidence, Inventory, SearchRules, Searcher, lists, update};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let rules = SearchRules::default();
    let mut search = Searcher::new(&rules);
    search.text("text", text);
    let inventory = Inventory::of(search.finish(), &rules);
    let list = inventory.to_list();
    let read = lists::read(&list, "list", None).expect("our own form");
    assert_eq!(read.len(), inventory.count(Confidence::Sure) + inventory.count(Confidence::Likely));
    let updated = update(&list, &inventory);
    assert!(updated.appeared.is_empty() && updated.went.is_empty());
    let _ = lists::parse(text, "text", None);
});
