//! What an artifact consists of, and to which artifacts a blob belongs.

use std::sync::Arc;

use super::{
    answer::Refusal,
    backend::{Backend, Backends, Requested},
    file::OwnersOf,
};
use crate::oci::{
    Descriptor, Digest, Manifest, Name, Tag,
    graph::{Account, Budget, OverBudget, walk},
};

/// What is looked at to answer one request, be it for a page of artifacts or for a blob.
pub(super) const CLOSURES: Budget = Budget { manifests: 20_000, descriptors: 100_000, bytes: 48 << 20, depth: 64 };

/// Tags of a repository that are looked at for a blob's sake.
const MAX_TAGS: usize = 1000;

impl Backends {
    /// The manifest of that name and all below it, itself first, as far as `account` allows; `None` where it is not there or
    /// the account is spent.
    pub(super) fn closure(
        &self,
        at: Requested<'_>,
        name: &Name,
        account: &mut Account,
    ) -> Result<Option<Vec<Manifest>>, Refusal> {
        let Some(top) = self.parsed(at, name, account)? else { return Ok(None) };
        let load = |descriptor: &Descriptor, account: &Account| {
            Ok::<_, WalkEnd>(self.parsed(at, &Name::Digest(descriptor.digest), account)?)
        };
        match walk([top.descriptor()], account, load) {
            Ok(walked) => Ok(Some(walked.into_manifests().collect())),
            Err(WalkEnd::Spent) => Ok(None),
            Err(WalkEnd::Failed(failure)) => Err(failure),
        }
    }

    fn parsed(&self, at: Requested<'_>, name: &Name, account: &Account) -> Result<Option<Manifest>, Refusal> {
        let Some(document) = self.document(at, name)? else { return Ok(None) };
        if account.allows_document(&document.bytes).is_err() {
            return Ok(None);
        }
        let algorithm = document.digest.algorithm();
        Ok(Manifest::parse_as(document.bytes, Some(&document.media_type), algorithm).ok())
    }
}

/// Why a walk did not come to its end.
enum WalkEnd {
    Spent,
    Failed(Refusal),
}

impl From<OverBudget> for WalkEnd {
    fn from(_: OverBudget) -> Self {
        Self::Spent
    }
}

impl From<Refusal> for WalkEnd {
    fn from(failure: Refusal) -> Self {
        Self::Failed(failure)
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
        let mut account = CLOSURES.open();
        let mut has_it = |tag: &String| {
            let name = tag.parse::<Tag>().map(Name::Tag).ok();
            let manifests = name.and_then(|name| self.closure(at, &name, &mut account).ok().flatten());
            manifests.is_some_and(|found| found.iter().flat_map(Manifest::blobs).any(|found| found.digest == *blob))
        };
        let names: Vec<_> =
            tags.iter().filter(|tag| has_it(tag)).map(|tag| format!("{}:{tag}", at.repository)).collect();
        if names.is_empty() { at.repository.to_owned() } else { names.join(", ") }
    }
}
