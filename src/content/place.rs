//! Whole places: a repository that artifacts come from or go to, and what holds repositories.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Assign, Referrers, Resolve, Result, Sink, Source, Verified};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag};

/// Why a place does not have content that a manifest in it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Absence {
    /// A platform filter left it out.
    Platform,
    /// It is a non-distributable layer, and those were left out.
    Foreign,
    /// The receiver has it already.
    Delta,
}

/// A repository that artifacts come from.
pub trait Origin: Source + Resolve + Referrers {
    /// Why `content` is not here, where that is on purpose.
    fn absence(&self, _content: &Digest) -> Option<Absence> {
        None
    }
}

/// Repositories that artifacts come from: a registry, a store, a bundle.
pub trait Origins: Send + Sync {
    /// The repository of that name, which need not exist.
    fn origin(&self, repository: &Repository) -> Arc<dyn Origin>;
}

/// A repository that artifacts go to.
#[async_trait]
pub trait Target: Sink + Resolve + Assign + Referrers {
    /// How blobs are taken over from a sibling repository, where the place can do that.
    fn mounts(&self) -> Option<&dyn Mount> {
        None
    }

    /// Whether what is here under `index`, an index, is so with all manifests that it names. `false`: it may lack some of them.
    async fn is_whole(&self, _index: &Digest) -> bool {
        false
    }

    /// Puts `manifest` under `tag`, after all that it names.
    async fn put(&self, tag: &Tag, manifest: &Manifest) -> Result<()> {
        let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
        self.push(manifest.descriptor(), body).await?;
        self.tag(tag, manifest).await
    }

    /// Puts `manifests`, which are all attached to `subject` and in an order that a sink takes.
    async fn attach(&self, _subject: &Digest, manifests: &[Manifest]) -> Result<()> {
        for manifest in manifests {
            let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
            self.push(manifest.descriptor(), body).await?;
        }
        Ok(())
    }
}

/// Repositories that artifacts go to: a registry, a store.
pub trait Targets: Send + Sync {
    /// The repository of that name; the first push makes it.
    fn target(&self, repository: &Repository) -> Arc<dyn Target>;

    /// The repository as a place to read blobs from, where these can be read back.
    fn source(&self, _repository: &Repository) -> Option<Arc<dyn Source>> {
        None
    }
}

/// A repository that can take a blob over from a sibling without its bytes.
#[async_trait]
pub trait Mount: Send + Sync {
    /// Takes `blob` over from the repository `from` of the same place. `false`: its bytes have to be pushed.
    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<bool>;
}
