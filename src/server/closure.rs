//! What an artifact consists of, and to which artifacts a blob belongs.

use std::sync::Arc;

use super::{
    answer::Failure,
    bundles::Bundles,
    shelf::{At, Shelf, Shelves},
};
use crate::oci::{Digest, Manifest, Name, Tag};

/// Manifests below one artifact that are looked at.
const MAX_MANIFESTS: usize = 200;

/// Tags of a repository that are looked at for a blob's sake.
const MAX_TAGS: usize = 1000;

impl Shelves {
    /// The manifest of that name and all below it, itself first.
    pub(super) fn closure(&self, at: At<'_>, name: &Name) -> Result<Option<Vec<Manifest>>, Failure> {
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

/// Who wants a blob: enough to tell which artifacts it belongs to, should anybody need to know.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A client, in a repository.
    InRepository { shelves: Shelves, repository: String, namespace: Option<String> },
    /// The server itself, before the first answer.
    AtStart(Arc<Bundles>),
}

impl Asked {
    pub(super) fn new(shelves: &Shelves, at: At<'_>) -> Self {
        Self::InRepository {
            shelves: shelves.clone(),
            repository: at.repository.to_owned(),
            namespace: at.namespace.map(str::to_owned),
        }
    }

    /// The artifacts that have the blob, by name, for people: those of the repository it was asked for in, or that
    /// repository alone where none is found; at the start all of them.
    pub(super) fn artifacts(&self, blob: &Digest) -> String {
        let (shelves, repository, namespace) = match self {
            Self::InRepository { shelves, repository, namespace } => (shelves, repository, namespace.as_deref()),
            Self::AtStart(bundles) => {
                let names: Vec<_> = bundles.needing(blob).iter().map(ToString::to_string).collect();
                return names.join(", ");
            }
        };
        let at = At { repository, namespace };
        let tags = shelves.tags(at, "", MAX_TAGS).unwrap_or_default();
        let has_it = |tag: &String| {
            let name = tag.parse::<Tag>().map(Name::Tag).ok();
            let manifests = name.and_then(|name| shelves.closure(at, &name).ok().flatten());
            manifests.is_some_and(|found| found.iter().flat_map(Manifest::blobs).any(|found| found.digest == *blob))
        };
        let names: Vec<_> =
            tags.iter().filter(|tag| has_it(tag)).map(|tag| format!("{}:{tag}", at.repository)).collect();
        if names.is_empty() { repository.clone() } else { names.join(", ") }
    }
}
