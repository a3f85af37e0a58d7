//! Packed bundles: the same bundle in fewer bytes (docs/pack-format.md).
//!
//! A gzip layer is stored as what it decompresses to, and as the recipe from which the very same gzip bytes are made again. Contents
//! are compressed against each other, and against layers that the receiver has. An open packed file ([`PackedFile`]) is read as
//! the bundle that it codes, byte for byte.

pub mod error;

mod base;
mod blob_read;
mod codec;
mod create;
mod encode;
mod expand;
mod frame_cache;
mod frames;
mod frames_file;
mod head;
mod medium;
mod memory;
mod nested;
mod opened;
mod output;
mod parallel;
mod plan;
mod proof;
mod rebuild;
mod request;
mod sealed;
mod sealed_json;
mod segments;
mod sketch;
mod spool;
mod survey;
#[cfg(test)]
mod tests;
mod unpack;
mod volumes;
mod window;

/// Encoders that make the same gzip bytes again: a crate of its own.
pub use airlift_deflate as deflate;
pub use base::BundleBase;
pub use create::pack;
pub use error::{Error, Result};
pub use frames::BaseContents;
pub use opened::{MEMORY, PackedFile, ReadSettings, is_packed_file};
pub(crate) use opened::{PackKind, kind_at, reader_at, reader_on};
pub use request::{BaseOffer, BlobCoding, LEVEL, PackReport, PackRequest, PackedOutcome};
pub(crate) use sealed::check_sealed;
#[doc(hidden)]
pub use spool::{BaseFinder, FoundLayer};
pub use unpack::unpack;
pub use volumes::volume_path;
pub(crate) use volumes::{PackVolumes, check_volume, gather_volumes, volume_at};
