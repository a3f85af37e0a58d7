//! Why something was not copied.

use std::path::PathBuf;

use crate::{
    bundle,
    content::{Code, Fault},
    files,
    oci::Digest,
};

/// Why a bundle was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading, writing or checking failed.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The destination is there already, has no room, is being written by another run, or may not be written to.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A storage failed, has no such object, or has one already.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
    /// The source is a folder, a device or the like.
    #[error("{} is not a file that can be copied", path.display())]
    NotAFile {
        /// The source.
        path: PathBuf,
    },
    /// The destination is to be a folder but is none.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// The destination.
        path: PathBuf,
    },
    /// Source and destination are one file.
    #[error("{} and {} are the same file", from.display(), to.display())]
    SameFile {
        /// The source.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
    },
    /// What was read back is not what was copied.
    #[error("what was written to {} has the digest {actual}, but {expected} was read from the source", path.display())]
    Mismatch {
        /// The partial copy.
        path: PathBuf,
        /// The digest of what was read from the source.
        expected: Digest,
        /// The digest of what was read back.
        actual: Digest,
    },
    /// The source was written to meanwhile.
    #[error("{} changed while it was copied", path.display())]
    Changed {
        /// The source.
        path: PathBuf,
    },
    /// The source is a bundle, but a damaged one: the copy is as well.
    #[error("{} is a damaged bundle: {first}{}", path.display(), more(*count))]
    Damaged {
        /// The source.
        path: PathBuf,
        /// How many things are wrong.
        count: usize,
        /// The first of them.
        first: String,
        /// Of what kind it is.
        code: Code,
    },
}

fn more(count: usize) -> String {
    if count > 1 { format!(", and {} findings more", count - 1) } else { String::new() }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Bundle(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::NotAFile { .. } | Self::SameFile { .. } => Code::UsageArgument,
            Self::NoFolder { .. } => Code::IoWrite,
            Self::Mismatch { .. } | Self::Changed { .. } => Code::CopyMismatch,
            Self::Damaged { code, .. } => *code,
        }
    }
}
