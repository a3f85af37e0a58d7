//! What a place provably has, as a document that travels back (docs/receipt-format.md). Documents only: no network, no files.

pub mod error;
pub mod receipt;

pub use error::{Error, Result};
pub use receipt::{Holding, Receipt, Received, ReceivedArtifact, ReceivedBundle};
