//! What an artifact consists of, and to which artifacts a blob belongs.

use std::sync::Arc;

use super::{
    answer::Failure,
    bundles::Bundles,
    shelf::{At, Shelf, Shelves},
};
use crate::oci::{
    Descriptor, Digest, Manifest, Name, Tag,
    graph::{Account, Budget, OverBudget, walk},
};

/// What is looked at to answer one request, be it for a page of artifacts or for a blob.
pub(super) const CLOSURES: Budget = Budget { manifests: 20_000, descriptors: 100_000, bytes: 48 << 20, depth: 64 };

/// Tags of a repository that are looked at for a blob's sake.
const MAX_TAGS: usize = 1000;

impl Shelves {
    /// The manifest of that name and all below it, itself first, as far as `account` allows; `None` where it is not there or
    /// the account is spent.
    pub(super) fn closure(
        &self,
        at: At<'_>,
        name: &Name,
        account: &mut Account,
    ) -> Result<Option<Vec<Manifest>>, Failure> {
        let Some(top) = self.parsed(at, name, account)? else { return Ok(None) };
        let load = |descriptor: &Descriptor, account: &Account| {
            Ok::<_, Ended>(self.parsed(at, &Name::Digest(descriptor.digest), account)?)
        };
        match walk([top.descriptor()], account, load) {
            Ok(walked) => Ok(Some(walked.into_manifests().collect())),
            Err(Ended::Spent) => Ok(None),
            Err(Ended::Failed(failure)) => Err(failure),
        }
    }

    fn parsed(&self, at: At<'_>, name: &Name, account: &Account) -> Result<Option<Manifest>, Failure> {
        let Some(document) = self.document(at, name)? else { return Ok(None) };
        if account.allows_document(&document.bytes).is_err() {
            return Ok(None);
        }
        let algorithm = document.digest.algorithm();
        Ok(Manifest::parse_as(document.bytes, Some(&document.media_type), algorithm).ok())
    }
}

/// Why a walk did not come to its end.
enum Ended {
    Spent,
    Failed(Failure),
}

impl From<OverBudget> for Ended {
    fn from(_: OverBudget) -> Self {
        Self::Spent
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
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
        let mut account = CLOSURES.open();
        let mut has_it = |tag: &String| {
            let name = tag.parse::<Tag>().map(Name::Tag).ok();
            let manifests = name.and_then(|name| shelves.closure(at, &name, &mut account).ok().flatten());
            manifests.is_some_and(|found| found.iter().flat_map(Manifest::blobs).any(|found| found.digest == *blob))
        };
        let names: Vec<_> =
            tags.iter().filter(|tag| has_it(tag)).map(|tag| format!("{}:{tag}", at.repository)).collect();
        if names.is_empty() { repository.clone() } else { names.join(", ") }
    }
}
