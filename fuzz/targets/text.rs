//! Text of strangers: nothing is read in two ways, and nothing brings a parser down.

use airlift::{
    bundle::{Facts, Index, volume},
    find::{Confidence, Inventory, SearchRules, Searcher, lists, update},
    holding::Receipt,
    oci::{Manifest, Reference},
    registry::headers::{Challenge, ContentRange, next_link},
    transfer::shards::PlanFile,
};

/// `index.json` and `airlift.json`: what is taken for ours has one form.
pub(crate) fn index(text: &[u8]) {
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
}

/// Manifests and indexes: their bytes survive, and nothing is an index and an image at once.
pub(crate) fn manifest(text: &[u8]) {
    if let Ok(manifest) = Manifest::parse(text.to_vec().into(), None) {
        assert_eq!(&manifest.raw()[..], text);
        assert!(manifest.children().is_empty() || manifest.config().is_none());
    }
}

/// Receipts: what is taken for one has one form, and its line is short.
pub(crate) fn receipt(text: &[u8]) {
    if let Ok(receipt) = Receipt::parse(text) {
        assert_eq!(receipt.to_json(), text);
        let line = receipt.line();
        assert!(line.len() < 300 && line.is_ascii());
    }
}

/// The plan of many machines, also where its id is right.
pub(crate) fn plan(text: &[u8]) {
    let resealed = PlanFile::resealed(text);
    for text in [text].into_iter().chain(resealed.as_deref()) {
        if let Ok(plan) = PlanFile::parse(text, "the plan") {
            assert_eq!(plan.to_json().unwrap(), text);
        }
    }
}

/// The manifest of a set of volumes.
pub(crate) fn set_manifest(text: &[u8]) {
    if let Ok(manifest) = volume::SetManifest::parse(text) {
        assert_eq!(manifest.to_json(), text);
        assert!(manifest.files().all(|file| !file.name.contains('/')));
    }
}

/// Lists of artifacts, as lines and as YAML: every reference in them can be printed and read again.
pub(crate) fn artifact_list(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    for registry in [None, Some("r.example")] {
        for listed in lists::parse(text, "list", registry).map(|list| list.artifacts).unwrap_or_default() {
            assert_eq!(listed.reference.to_string().parse(), Ok(listed.reference));
        }
    }
}

/// Manifests, charts' metadata, compose files, Dockerfiles and lists: what the search writes is a list that is read back.
pub(crate) fn find(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let rules = SearchRules::default();
    let mut search = Searcher::new(&rules);
    search.text("text", text);
    let inventory = Inventory::of(search.finish(), &rules);
    let list = inventory.to_list();
    let read = lists::read(&list, "list", None).expect("our own form");
    assert_eq!(read.len(), inventory.count(Confidence::Sure) + inventory.count(Confidence::Likely));
    let updated = update(&list, &inventory);
    assert!(updated.appeared.is_empty() && updated.went.is_empty());
}

/// References.
pub(crate) fn reference(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    if let Ok(reference) = Reference::parse(text, Some("r.example")) {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// `Link`, in one line or several: the target that is found is found again when it stands alone.
pub(crate) fn link(text: &[u8]) {
    if let Ok(Some(target)) = next_link(lines(text)) {
        let alone = format!("<{target}>; rel=\"next\"");
        assert_eq!(next_link([alone.as_bytes()]), Ok(Some(target)));
    }
}

/// `WWW-Authenticate`, in one line or several: what is read of it is read again when it is written in the plainest way.
pub(crate) fn challenge(text: &[u8]) {
    let Some(Challenge::Bearer(bearer)) = Challenge::parse(lines(text)) else { return };
    let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let mut plain = format!("Bearer realm={}", quoted(&bearer.realm));
    for (name, value) in [("service", &bearer.service), ("scope", &bearer.scope)] {
        if let Some(value) = value {
            plain += &format!(",{name}={}", quoted(value));
        }
    }
    assert_eq!(Challenge::parse([plain.as_bytes()]), Some(Challenge::Bearer(bearer)));
}

/// `Content-Range`: the numbers that are read stand in the text, and name a part of the whole.
pub(crate) fn content_range(text: &[u8]) {
    if let Ok(text) = str::from_utf8(text)
        && let Some(range) = ContentRange::parse(text)
    {
        assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
        let total = range.total.map_or("*".to_owned(), |total| total.to_string());
        assert_eq!(ContentRange::parse(&format!("bytes {}-{}/{total}", range.first, range.last)), Some(range));
        assert!(!range.resumes(range.first, range.last), "a part that ends outside of the blob");
    }
}
