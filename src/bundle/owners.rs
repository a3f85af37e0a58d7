//! Which artifacts need which content: what damage is told of.

use std::collections::{BTreeSet, HashMap};

use super::Contents;
use crate::oci::{Digest, Reference};

/// How deep attached artifacts are followed to the artifact that needs them.
const ATTACHED_ROUNDS: usize = 8;

/// The artifacts by what they need.
#[derive(Debug)]
pub struct Owners<'a> {
    contents: &'a Contents,
    by_digest: HashMap<Digest, BTreeSet<&'a Reference>>,
}

impl<'a> Owners<'a> {
    /// Walks all of `contents`.
    pub fn of(contents: &'a Contents) -> Self {
        let mut owners = Self { contents, by_digest: HashMap::new() };
        let index = &contents.index;
        for root in index.roots() {
            owners.claim(root.descriptor.digest, &root.reference);
        }
        // What is attached belongs to whoever needs its subject. Attached to something attached: a few rounds do.
        for _ in 0..ATTACHED_ROUNDS {
            let mut is_new = false;
            for attached in index.attached() {
                let top = attached.descriptor.digest;
                let subject = contents.manifests.get(&top).and_then(|manifest| manifest.subject());
                let found = subject.and_then(|subject| owners.by_digest.get(&subject.digest)).cloned();
                for owner in found.into_iter().flatten() {
                    is_new |= owners.claim(top, owner);
                }
            }
            if !is_new {
                break;
            }
        }
        owners
    }

    /// Notes that `owner` needs `top` and all below it. `false` if that was known.
    fn claim(&mut self, top: Digest, owner: &'a Reference) -> bool {
        let mut stack = vec![top];
        let mut is_new = false;
        while let Some(digest) = stack.pop() {
            // Whoever needs it needs all below it, which was noted with it.
            if !self.by_digest.entry(digest).or_default().insert(owner) {
                continue;
            }
            is_new = true;
            if let Some(manifest) = self.contents.manifests.get(&digest) {
                stack.extend(manifest.children().iter().chain(manifest.blobs()).map(|below| below.digest));
            }
        }
        is_new
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
