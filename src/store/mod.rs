//! The read-write content store behind `serve --store`: blobs as files by their digest, everything else in SQLite.
//!
//! What a folder of it holds ([`paths`] owns the names):
//!
//! | path | what |
//! |---|---|
//! | `store.sqlite` | repositories, which blobs and manifests each has, the manifests' bytes, tags |
//! | `blobs/ALG/HH/HEX` | verified, complete content; nothing else ever gets such a name |
//! | `uploads/…` | what was received of unfinished uploads; continued after a restart |
//! | `lock` | held by the one process that has the store open |
//!
//! A blob is hashed while it is written, synced, renamed to its final name, and then entered in the database: whatever
//! moment a process dies at, what was acknowledged is there, and what is visible is whole.

mod batch;
mod document;
mod error;
mod gc;
mod handle;
mod metadata;
pub mod paths;
mod repository;
mod seam;
mod sessions;
mod upload;

pub use document::{RawManifest, referrer};
pub use error::{Result, StoreError};
pub use gc::{Collected, Sweep};
pub use handle::Store;
pub use repository::{StoredBlob, StoredRepository};
pub use upload::{StoreUpload, UploadWriter};

#[cfg(test)]
mod tests;
