//! Where pulled content comes from: one store, bundles, or bundles below a store.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{answer::Failure, file::Located};
use crate::{
    oci::{Descriptor, Digest, Name},
    store::{Document, Store},
};

/// A place that can be pulled from. Every question is a look-up in memory or an index, never a wait for a transfer.
pub(super) trait Shelf: fmt::Debug + Send + Sync {
    /// Whether there is such a repository.
    fn knows(&self, repository: &str) -> Result<bool, Failure>;
    /// The manifest of that name.
    fn document(&self, repository: &str, name: &Name) -> Result<Option<Document>, Failure>;
    /// The blob.
    fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Located>, Failure>;
    /// Bytes of the blob.
    fn blob_size(&self, repository: &str, digest: &Digest) -> Result<Option<u64>, Failure> {
        Ok(self.blob(repository, digest)?.map(|blob| blob.size))
    }
    /// Whether there is a manifest of that name.
    fn has_manifest(&self, repository: &str, name: &Name) -> Result<bool, Failure> {
        Ok(self.document(repository, name)?.is_some())
    }
    /// Tags in ASCII order, those after `after` only, at the most `limit`.
    fn tags(&self, repository: &str, after: &str, limit: usize) -> Result<Vec<String>, Failure>;
    /// What is attached to `subject`.
    fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Descriptor>, Failure>;
    /// Names of repositories in order, those after `after` only, at the most `limit`.
    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Failure>;
}

impl Shelf for Store {
    fn knows(&self, repository: &str) -> Result<bool, Failure> {
        Ok(self.repository(repository).exists()?)
    }

    fn document(&self, repository: &str, name: &Name) -> Result<Option<Document>, Failure> {
        Ok(self.repository(repository).document(name)?)
    }

    fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Located>, Failure> {
        let found = self.repository(repository).blob(digest)?;
        Ok(found.map(|blob| Located {
            file: blob.file,
            offset: 0,
            size: blob.size,
            digest: *digest,
            place: "the store".into(),
        }))
    }

    fn blob_size(&self, repository: &str, digest: &Digest) -> Result<Option<u64>, Failure> {
        Ok(self.repository(repository).blob_size(digest)?)
    }

    fn has_manifest(&self, repository: &str, name: &Name) -> Result<bool, Failure> {
        Ok(self.repository(repository).has_manifest(name)?)
    }

    fn tags(&self, repository: &str, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        Ok(self.repository(repository).tags(Some(after), limit)?.unwrap_or_default())
    }

    fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        Ok(self.repository(repository).attached(subject)?)
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
    fn knows(&self, repository: &str) -> Result<bool, Failure> {
        Ok(self.first(|shelf| Ok(shelf.knows(repository)?.then_some(())))?.is_some())
    }

    fn document(&self, repository: &str, name: &Name) -> Result<Option<Document>, Failure> {
        self.first(|shelf| shelf.document(repository, name))
    }

    fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Located>, Failure> {
        self.first(|shelf| shelf.blob(repository, digest))
    }

    fn blob_size(&self, repository: &str, digest: &Digest) -> Result<Option<u64>, Failure> {
        self.first(|shelf| shelf.blob_size(repository, digest))
    }

    fn has_manifest(&self, repository: &str, name: &Name) -> Result<bool, Failure> {
        Ok(self.first(|shelf| Ok(shelf.has_manifest(repository, name)?.then_some(())))?.is_some())
    }

    fn tags(&self, repository: &str, after: &str, limit: usize) -> Result<Vec<String>, Failure> {
        self.merged(limit, |shelf| shelf.tags(repository, after, limit))
    }

    fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let mut all: Vec<Descriptor> = Vec::new();
        for shelf in &self.0 {
            for found in shelf.referrers(repository, subject)? {
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
