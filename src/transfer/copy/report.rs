//! What became of a copy.

use crate::{oci::Digest, storage::Location};

/// A copy that was proven.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyReport {
    /// Where it is; of a set its manifest.
    pub location: Location,
    /// Its bytes, of a set those of all files.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// The bundle id, where it is a bundle of ours; every byte of the copy was held against it.
    pub bundle: Option<Digest>,
    /// SHA-256 of the whole file, where it is known.
    pub file: Option<Digest>,
    /// Whether all of it was there under its name already.
    pub already_there: bool,
    /// How the far end was proven.
    pub proof: CopyProof,
    /// The set, where it is one.
    pub set: Option<CopiedSet>,
    /// File names of the companions that were copied with it.
    pub companions: Vec<String>,
}

/// A set that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedSet {
    /// Where its files are.
    pub folder: Location,
    /// Its volumes.
    pub volumes: usize,
    /// Its files of recovery data.
    pub recovery: usize,
}

/// How a copy was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyProof {
    /// It was read back.
    ReadBack,
    /// The provider's own SHA-256 is that of what was sent.
    Attested,
}
