//! Where pulled content comes from: one store, bundles, or bundles below a store.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{answer::Failure, bundles::spelled, far::Far, file::Located};
use crate::{
    oci::{Descriptor, Digest, Name},
    store::{self, Document, Store},
};

/// Which repository a request is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    /// As it stands in the path.
    pub(super) repository: &'a str,
    /// The host that the client takes us to stand in for (distribution-spec, "Registry Proxying").
    pub(super) namespace: Option<&'a str>,
}

impl<'a> At<'a> {
    /// The repository of exactly that name.
    pub(super) const fn plain(repository: &'a str) -> Self {
        Self { repository, namespace: None }
    }
}

/// A place that can be pulled from. Every question is a look-up in memory or an index, never a wait for a transfer.
pub(super) trait Shelf: fmt::Debug + Send + Sync {
    /// Whether there is such a repository.
    fn knows(&self, at: At<'_>) -> Result<bool, Failure>;
    /// The manifest of that name.
    fn document(&self, at: At<'_>, name: &Name) -> Result<Option<Document>, Failure>;
    /// The blob.
    fn blob(&self, at: At<'_>, digest: &Digest) -> Result<Option<Located>, Failure>;
    /// The blob, where it lies in a storage.
    fn far(&self, at: At<'_>, digest: &Digest) -> Result<Option<Far>, Failure> {
        let _ = (at, digest);
        Ok(None)
    }
    /// Bytes of the blob.
    fn blob_size(&self, at: At<'_>, digest: &Digest) -> Result<Option<u64>, Failure>;
    /// Whether there is a manifest of that name.
    fn has_manifest(&self, at: At<'_>, name: &Name) -> Result<bool, Failure>;
    /// Tags in ASCII order, those after `after` only, at the most `limit`.
    fn tags(&self, at: At<'_>, after: &str, limit: usize) -> Result<Vec<String>, Failure>;
    /// What is attached to `subject`.
    fn referrers(&self, at: At<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Failure>;
    /// Names of repositories in order, those after `after` only, at the most `limit`.
    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Failure>;
}

/// What was pushed with its host in front is found under the host that a client stands in for, too.
fn in_store(store: &Store, at: At<'_>) -> Result<store::Repository, Failure> {
    if let Some(namespace) = at.namespace {
        let full = store.repository(&format!("{}/{}", spelled(namespace), at.repository));
        if full.exists()? {
            return Ok(full);
        }
    }
    Ok(store.repository(at.repository))
}

impl Shelf for Store {
    fn knows(&self, at: At<'_>) -> Result<bool, Failure> {
        Ok(in_store(self, at)?.exists()?)
    }

    fn document(&self, at: At<'_>, name: &Name) -> Result<Option<Document>, Failure> {
        Ok(in_store(self, at)?.document(name)?)
    }

    fn blob(&self, at: At<'_>, digest: &Digest) -> Result<Option<Located>, Failure> {
        let found = in_store(self, at)?.blob(digest)?;
        let place = || "the store".into();
        Ok(found.map(|blob| Located { file: blob.file, offset: 0, size: blob.size, digest: *digest, place: place() }))
    }

    fn blob_size(&self, at: At<'_>, digest: &Digest) -> Result<Option<u64>, Failure> {
        Ok(in_store(self, at)?.blob_size(digest)?)
    }

    fn has_manifest(&self, at: At<'_>, name: &Name) -> Result<bool, Failure> {
        Ok(in_store(self, at)?.has_manifest(name)?)
    }

    fn tags(&self, at: At<'_>, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        Ok(in_store(self, at)?.tags(Some(after), limit)?.unwrap_or_default())
    }

    fn referrers(&self, at: At<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        Ok(in_store(self, at)?.attached(subject)?)
    }

    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        Ok(Self::repositories(self, Some(after), limit)?)
    }
}

/// Several shelves as one; what an earlier one has hides what a later one has.
#[derive(Clone, Debug)]
pub(super) struct Shelves(pub(super) Vec<Arc<dyn Shelf>>);

impl Shelves {
    fn first<T>(&self, ask: impl Fn(&dyn Shelf) -> Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
        for shelf in &self.0 {
            if let Some(found) = ask(&**shelf)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first `limit` of all the names that the shelves give, each by itself in order.
    fn merged(
        &self,
        limit: usize,
        ask: impl Fn(&dyn Shelf) -> Result<Vec<String>, Failure>,
    ) -> Result<Vec<String>, Failure> {
        if let [only] = &self.0[..] {
            return ask(&**only);
        }
        let mut all = BTreeSet::new();
        for shelf in &self.0 {
            all.extend(ask(&**shelf)?);
        }
        Ok(all.into_iter().take(limit).collect())
    }
}

impl Shelf for Shelves {
    fn knows(&self, at: At<'_>) -> Result<bool, Failure> {
        Ok(self.first(|shelf| Ok(shelf.knows(at)?.then_some(())))?.is_some())
    }

    fn document(&self, at: At<'_>, name: &Name) -> Result<Option<Document>, Failure> {
        self.first(|shelf| shelf.document(at, name))
    }

    fn blob(&self, at: At<'_>, digest: &Digest) -> Result<Option<Located>, Failure> {
        self.first(|shelf| shelf.blob(at, digest))
    }

    fn far(&self, at: At<'_>, digest: &Digest) -> Result<Option<Far>, Failure> {
        self.first(|shelf| shelf.far(at, digest))
    }

    fn blob_size(&self, at: At<'_>, digest: &Digest) -> Result<Option<u64>, Failure> {
        self.first(|shelf| shelf.blob_size(at, digest))
    }

    fn has_manifest(&self, at: At<'_>, name: &Name) -> Result<bool, Failure> {
        Ok(self.first(|shelf| Ok(shelf.has_manifest(at, name)?.then_some(())))?.is_some())
    }

    fn tags(&self, at: At<'_>, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        self.merged(limit, |shelf| shelf.tags(at, after, limit))
    }

    fn referrers(&self, at: At<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let mut all: Vec<Descriptor> = Vec::new();
        for shelf in &self.0 {
            for found in shelf.referrers(at, subject)? {
                if all.iter().all(|known| known.digest != found.digest) {
                    all.push(found);
                }
            }
        }
        all.sort_by_key(|descriptor| descriptor.digest);
        Ok(all)
    }

    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        self.merged(limit, |shelf| shelf.repositories(after, limit))
    }
}
