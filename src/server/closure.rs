//! What an artifact consists of, and to which artifacts a blob belongs.

use std::sync::Arc;

use super::{
    answer::Refusal,
    backend::{Backend, Backends, Requested},
    file::OwnersOf,
};
use crate::oci::{Digest, Manifest, Name, Tag};

/// Manifests below one artifact that are looked at.
const MAX_MANIFESTS: usize = 200;

/// Tags of a repository that are looked at for a blob's sake.
const MAX_TAGS: usize = 1000;

impl Backends {
    /// The manifest of that name and all below it, itself first.
    pub(super) fn closure(&self, at: Requested<'_>, name: &Name) -> Result<Option<Vec<Manifest>>, Refusal> {
        let mut manifests: Vec<Manifest> = Vec::new();
        let mut stack = vec![name.clone()];
        while let Some(name) = stack.pop() {
            let Some(document) = self.document(at, &name)? else { continue };
            let algorithm = document.digest.algorithm();
            let Ok(manifest) = Manifest::parse_as(document.bytes, Some(&document.media_type), algorithm) else {
                continue;
            };
            let known = manifests.iter().any(|known| known.digest() == manifest.digest());
            if known || manifests.len() == MAX_MANIFESTS {
                continue;
            }
            stack.extend(manifest.children().iter().rev().map(|child| Name::Digest(child.digest)));
            manifests.push(manifest);
        }
        Ok((!manifests.is_empty()).then_some(manifests))
    }
}

impl Backends {
    /// The artifacts of the repository that have the blob, by name, for people; the repository alone where none is found.
    pub(super) fn owners(&self, at: Requested<'_>) -> OwnersOf {
        let (backends, repository, namespace) =
            (self.clone(), at.repository.to_owned(), at.namespace.map(str::to_owned));
        Arc::new(move |blob| {
            backends.owners_of(Requested { repository: &repository, namespace: namespace.as_deref() }, blob)
        })
    }

    fn owners_of(&self, at: Requested<'_>, blob: &Digest) -> String {
        let tags = self.tags(at, "", MAX_TAGS).unwrap_or_default();
        let has_it = |tag: &String| {
            let name = tag.parse::<Tag>().map(Name::Tag).ok();
            let manifests = name.and_then(|name| self.closure(at, &name).ok().flatten());
            manifests.is_some_and(|found| found.iter().flat_map(Manifest::blobs).any(|found| found.digest == *blob))
        };
        let names: Vec<_> =
            tags.iter().filter(|tag| has_it(tag)).map(|tag| format!("{}:{tag}", at.repository)).collect();
        if names.is_empty() { at.repository.to_owned() } else { names.join(", ") }
    }
}
