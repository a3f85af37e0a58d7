//! Who vouches for a bundle: statements, signatures over them, and the trust file (docs/statement-format.md).
//!
//! A [`Statement`] names a bundle by its seal. A [`Signature`] is made over the bytes of the statement's file. A
//! [`TrustFile`] says whose signatures count, and [`TrustFile::verify`] gives a [`TrustVerdict`] with every finding. This room
//! reads and writes small files, asks an SSH agent, and keeps its marks in a database; it knows no bundles, registries or
//! storages.

pub mod file;
pub mod key;
mod marks;
pub mod record;
pub mod signature;
mod signer;
pub mod statement;
mod trust_file;
mod verdict;

pub use marks::{MarkError, Marks};
pub use signature::Signature;
pub use signer::{MadeSignature, Signer};
pub use statement::{BaseProof, BundleAtHand, BundleIdentity, Statement, StatementError, VolumeIdentity};
pub use trust_file::{TrustFile, TrustFileError, TrustedSigner};
pub use verdict::{Evidence, MAX_SIGNATURES, SignatureFile, TrustFinding, TrustVerdict};
