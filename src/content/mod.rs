//! The seam: what a place must offer so that content can be moved out of it or into it.
//!
//! Traits are small, and a capability is a further trait. The engine (`transfer`) knows nothing else of registries,
//! bundles, stores and storage. Manifests and blobs go through the same doors: a place tells them apart by media type.

mod authorities;
pub(crate) mod client;
pub mod code;
pub mod error;
mod hash_pool;
pub mod memory;
pub(crate) mod names;
mod place;
pub(crate) mod proxies;
pub mod read_at;
pub(crate) mod shell;
#[doc(hidden)]
pub mod trust;
pub mod verified;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;

use async_trait::async_trait;

pub use code::{Class, Code};
pub use error::{Error, Fault, Result};
pub use place::{Absence, Mount, Origin, Origins, Target, Targets};
pub use proxies::Unusable as UnusableProxy;
pub use read_at::ReadAt;
pub use verified::{ByteStream, ContentVerdict, Landing, Verified};

use crate::oci::{Descriptor, Digest, Manifest, Name, Tag};

/// Somewhere that can be asked whether it has a piece of content.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// Whether `content` can be had here. `Ok(false)` only for a definite "no"; doubt is an error.
    async fn contains(&self, content: &Descriptor) -> Result<bool>;
}

/// Somewhere that content can be fetched from.
#[async_trait]
pub trait Source: Lookup {
    /// The bytes of `content` from byte `from` to its end, unverified: see [`Verified::open`].
    ///
    /// Retries and continuation after a break are the source's own business; what it gives is one unbroken stream.
    async fn fetch(&self, content: &Descriptor, from: u64) -> Result<ByteStream>;
}

/// Somewhere that content can be put.
#[async_trait]
pub trait Sink: Lookup {
    /// Puts `content`, which becomes visible only after `body` has ended well. A manifest comes after all that it names.
    async fn push(&self, content: &Descriptor, body: Verified) -> Result<()>;
}

/// Somewhere that knows manifests by name.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The manifest of that name, its bytes checked against the digest where the name is one.
    async fn resolve(&self, name: &Name) -> Result<Manifest>;

    /// The digest of the manifest of that name, or `None` if there is definitely none.
    ///
    /// It is the place's word, not checked: good for "is it there", not for "is it this".
    async fn head(&self, name: &Name) -> Result<Option<Digest>> {
        match self.resolve(name).await {
            Ok(manifest) => Ok(Some(manifest.digest())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Somewhere that names can be given to manifests.
#[async_trait]
pub trait Assign: Send + Sync {
    /// Makes `tag` name `manifest`, which is there already.
    async fn tag(&self, tag: &Tag, manifest: &Manifest) -> Result<()>;

    /// Asks whether `manifest`, which was put by its digest alone, was kept. A place that is no stranger keeps what it takes.
    ///
    /// # Errors
    /// It was not.
    async fn confirm(&self, _manifest: &Manifest) -> Result<()> {
        Ok(())
    }
}

/// Somewhere that knows which artifacts are attached to a manifest.
#[async_trait]
pub trait Referrers: Send + Sync {
    /// Descriptors of the manifests whose `subject` is `subject`, in a stable order; empty if there are none.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>>;
}
