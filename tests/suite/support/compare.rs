//! Whether what arrived is what was sent: byte by byte, over the whole graph.

use std::collections::BTreeSet;

use airlift::oci::{Descriptor, Digest};

use super::registry::Registry;

/// Fails the test unless `target` holds, under its own repository and the same name, every manifest and blob that `source`
/// has below `name` — same bytes, same digests. Returns the digests compared.
#[track_caller]
pub(crate) fn same(source: (&Registry, &str), target: (&Registry, &str), name: &str) -> BTreeSet<Digest> {
    let mut compared = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let wanted = source.0.manifest(source.1, &name).unwrap_or_else(|| panic!("the source lost {name}"));
        let found = target.0.manifest(target.1, &name).unwrap_or_else(|| panic!("{}:{name} is absent", target.1));
        assert_eq!(wanted.raw(), found.raw(), "{name} has other bytes in the target");
        assert_eq!(wanted.media_type(), found.media_type(), "{name} has another type in the target");
        compared.insert(wanted.digest());
        open.extend(wanted.children().iter().map(|child| child.digest.to_string()));
        for blob in wanted.blobs() {
            if compared.insert(blob.digest) {
                same_blob(source, target, blob);
            }
        }
    }
    compared
}

#[track_caller]
fn same_blob(source: (&Registry, &str), target: (&Registry, &str), blob: &Descriptor) {
    let digest = blob.digest;
    let found = target.0.blob(target.1, &digest).unwrap_or_else(|| panic!("{}: blob {digest} is absent", target.1));
    assert_eq!(found.len() as u64, blob.size, "blob {digest}");
    assert_eq!(Digest::of(digest.algorithm(), &found), digest, "the target's blob is damaged");
    // A foreign layer may be absent at the source.
    if let Some(wanted) = source.0.blob(source.1, &digest) {
        assert_eq!(wanted, found, "blob {digest}");
    }
}

/// Fails unless every tag of the repository leads to an artifact that is whole. For checks right after a kill: the registry
/// may still be writing a tag, and lists it before it leads to a manifest.
#[track_caller]
pub(crate) fn tags_are_complete(registry: &Registry, repository: &str) {
    for tag in registry.tags(repository) {
        if (0..100).any(|_| registry.manifest(repository, &tag).is_some()) {
            let missing = missing_below(registry, repository, &tag);
            assert!(missing.is_empty(), "{repository}:{tag} is visible and lacks {missing:?}");
        }
    }
}

/// What is missing below a name: empty if the closure is complete. For checks in the middle of an import.
pub(crate) fn missing_below(registry: &Registry, repository: &str, name: &str) -> Vec<String> {
    let Some(manifest) = registry.manifest(repository, name) else { return vec![name.to_owned()] };
    let children = manifest.children().iter();
    let mut missing: Vec<String> =
        children.flat_map(|child| missing_below(registry, repository, &child.digest.to_string())).collect();
    for blob in manifest.blobs() {
        let head = format!("/v2/{repository}/blobs/{}", blob.digest);
        if !registry.send(reqwest::Method::HEAD, &head, &[], bytes::Bytes::new()).status.is_success() {
            missing.push(blob.digest.to_string());
        }
    }
    missing
}
