//! Where pulled content comes from: one store, bundles, or bundles below a store.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{answer::Refusal, file::LocalBlob, remote_blob::RemoteBlob};
use crate::{
    oci::{Descriptor, Digest, Name, reference::host_as_part},
    store::{self, RawManifest, Store},
};

/// Which repository a request is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested<'a> {
    /// As it stands in the path.
    pub(super) repository: &'a str,
    /// The host that the client takes us to stand in for (distribution-spec, "Registry Proxying").
    pub(super) namespace: Option<&'a str>,
}

impl<'a> Requested<'a> {
    /// The repository of exactly that name.
    pub(super) const fn plain(repository: &'a str) -> Self {
        Self { repository, namespace: None }
    }
}

/// A place that can be pulled from. Every question is a look-up in memory or an index, never a wait for a transfer.
pub(super) trait Backend: fmt::Debug + Send + Sync {
    /// Whether there is such a repository.
    fn knows(&self, at: Requested<'_>) -> Result<bool, Refusal>;
    /// The manifest of that name.
    fn document(&self, at: Requested<'_>, name: &Name) -> Result<Option<RawManifest>, Refusal>;
    /// The blob.
    fn blob(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<LocalBlob>, Refusal>;
    /// The blob, where it lies in a storage.
    fn far(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<RemoteBlob>, Refusal> {
        let _ = (at, digest);
        Ok(None)
    }
    /// Bytes of the blob.
    fn blob_size(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<u64>, Refusal>;
    /// Whether there is a manifest of that name.
    fn has_manifest(&self, at: Requested<'_>, name: &Name) -> Result<bool, Refusal>;
    /// Tags in ASCII order, those after `after` only, at the most `limit`.
    fn tags(&self, at: Requested<'_>, after: &str, limit: usize) -> Result<Vec<String>, Refusal>;
    /// Artifacts that have no tag and are no part of another, where that is known.
    fn pinned(&self, at: Requested<'_>) -> Result<Vec<Digest>, Refusal> {
        let _ = at;
        Ok(Vec::new())
    }
    /// The registries that the repository came from, where that is known.
    fn hosts(&self, at: Requested<'_>) -> Vec<String> {
        let _ = at;
        Vec::new()
    }
    /// What is attached to `subject`.
    fn referrers(&self, at: Requested<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Refusal>;
    /// Names of repositories in order, those after `after` only, at the most `limit`.
    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Refusal>;
}

/// What was pushed with its host in front is found under the host that a client stands in for, too.
fn in_store(store: &Store, at: Requested<'_>) -> Result<store::StoredRepository, Refusal> {
    if let Some(namespace) = at.namespace {
        let full = store.repository(&format!("{}/{}", host_as_part(namespace), at.repository));
        if full.exists()? {
            return Ok(full);
        }
    }
    Ok(store.repository(at.repository))
}

impl Backend for Store {
    fn knows(&self, at: Requested<'_>) -> Result<bool, Refusal> {
        Ok(in_store(self, at)?.exists()?)
    }

    fn document(&self, at: Requested<'_>, name: &Name) -> Result<Option<RawManifest>, Refusal> {
        Ok(in_store(self, at)?.document(name)?)
    }

    fn blob(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<LocalBlob>, Refusal> {
        let found = in_store(self, at)?.blob(digest)?;
        let place = || "the store".into();
        Ok(found.map(|blob| LocalBlob { file: blob.file, offset: 0, size: blob.size, digest: *digest, place: place() }))
    }

    fn blob_size(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<u64>, Refusal> {
        Ok(in_store(self, at)?.blob_size(digest)?)
    }

    fn has_manifest(&self, at: Requested<'_>, name: &Name) -> Result<bool, Refusal> {
        Ok(in_store(self, at)?.has_manifest(name)?)
    }

    fn tags(&self, at: Requested<'_>, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        Ok(in_store(self, at)?.tags(Some(after), limit)?.unwrap_or_default())
    }

    fn referrers(&self, at: Requested<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Refusal> {
        Ok(in_store(self, at)?.attached(subject)?)
    }

    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        Ok(Self::repositories(self, Some(after), limit)?)
    }
}

/// Several backends as one; what an earlier one has hides what a later one has.
#[derive(Clone, Debug)]
pub(super) struct Backends(pub(super) Vec<Arc<dyn Backend>>);

impl Backends {
    fn first<T>(&self, ask: impl Fn(&dyn Backend) -> Result<Option<T>, Refusal>) -> Result<Option<T>, Refusal> {
        for backend in &self.0 {
            if let Some(found) = ask(&**backend)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first `limit` of all the names that the backends give, each by itself in order.
    fn merged(
        &self,
        limit: usize,
        ask: impl Fn(&dyn Backend) -> Result<Vec<String>, Refusal>,
    ) -> Result<Vec<String>, Refusal> {
        if let [only] = &self.0[..] {
            return ask(&**only);
        }
        let mut all = BTreeSet::new();
        for backend in &self.0 {
            all.extend(ask(&**backend)?);
        }
        Ok(all.into_iter().take(limit).collect())
    }
}

impl Backend for Backends {
    fn knows(&self, at: Requested<'_>) -> Result<bool, Refusal> {
        Ok(self.first(|backend| Ok(backend.knows(at)?.then_some(())))?.is_some())
    }

    fn document(&self, at: Requested<'_>, name: &Name) -> Result<Option<RawManifest>, Refusal> {
        self.first(|backend| backend.document(at, name))
    }

    fn blob(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<LocalBlob>, Refusal> {
        self.first(|backend| backend.blob(at, digest))
    }

    fn far(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<RemoteBlob>, Refusal> {
        self.first(|backend| backend.far(at, digest))
    }

    fn blob_size(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<u64>, Refusal> {
        self.first(|backend| backend.blob_size(at, digest))
    }

    fn has_manifest(&self, at: Requested<'_>, name: &Name) -> Result<bool, Refusal> {
        Ok(self.first(|backend| Ok(backend.has_manifest(at, name)?.then_some(())))?.is_some())
    }

    fn tags(&self, at: Requested<'_>, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        self.merged(limit, |backend| backend.tags(at, after, limit))
    }

    fn pinned(&self, at: Requested<'_>) -> Result<Vec<Digest>, Refusal> {
        let mut all = BTreeSet::new();
        for backend in &self.0 {
            all.extend(backend.pinned(at)?);
        }
        Ok(all.into_iter().collect())
    }

    fn hosts(&self, at: Requested<'_>) -> Vec<String> {
        let all: BTreeSet<String> = self.0.iter().flat_map(|backend| backend.hosts(at)).collect();
        all.into_iter().collect()
    }

    fn referrers(&self, at: Requested<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Refusal> {
        let mut all: Vec<Descriptor> = Vec::new();
        for backend in &self.0 {
            for found in backend.referrers(at, subject)? {
                if all.iter().all(|known| known.digest != found.digest) {
                    all.push(found);
                }
            }
        }
        all.sort_by_key(|descriptor| descriptor.digest);
        Ok(all)
    }

    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        self.merged(limit, |backend| backend.repositories(after, limit))
    }
}
