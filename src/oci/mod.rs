//! The words of the trade: digests, references, descriptors, manifests. No I/O and nothing asynchronous may enter.

pub(crate) mod canonical;
pub mod descriptor;
pub mod digest;
#[doc(hidden)]
pub mod error_code;
#[doc(hidden)]
pub mod graph;
#[doc(hidden)]
pub mod hasher;
pub mod manifest;
pub mod media_type;
mod null;
pub mod platform;
pub mod reference;
pub mod repository;
pub mod text;
pub(crate) mod weight;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest};
pub use hasher::Hasher;
pub use manifest::{Manifest, ManifestError};
pub use platform::Platform;
pub use reference::{Name, Reference, Tag};
pub use repository::Repository;
pub use text::PeerText;
