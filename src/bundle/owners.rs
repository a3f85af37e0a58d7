//! Which artifacts need which content, so that damage is reported by artifact.

use std::collections::{BTreeSet, HashMap};

use super::{Graph, Result};
use crate::{
    bundle::Contents,
    oci::{Digest, Reference},
};

/// The artifacts by what they need.
#[derive(Debug)]
pub struct Owners<'a> {
    by_digest: HashMap<Digest, BTreeSet<&'a Reference>>,
}

impl<'a> Owners<'a> {
    /// Walks all of `contents`.
    ///
    /// # Errors
    /// The artifacts are more than a run can handle.
    pub fn of(contents: &'a Contents) -> Result<Self> {
        let graph = Graph::of(contents);
        let mut by_digest: HashMap<_, BTreeSet<_>> = HashMap::new();
        for member in graph.members()? {
            // An attached artifact belongs to every artifact that needs its subject.
            let tops = member.attached.iter().copied().chain([&member.root.descriptor]);
            for digest in graph.content(tops)?.into_keys() {
                by_digest.entry(digest).or_default().insert(&member.root.reference);
            }
        }
        Ok(Self { by_digest })
    }

    /// Everything that is needed, with the artifacts that need it.
    pub fn into_all(self) -> impl Iterator<Item = (Digest, BTreeSet<&'a Reference>)> {
        self.by_digest.into_iter()
    }

    /// The artifacts that need `digest`, by name.
    pub fn needing(&self, digest: &Digest) -> impl Iterator<Item = &'a Reference> {
        self.by_digest.get(digest).into_iter().flatten().copied()
    }
}
