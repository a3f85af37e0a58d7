//! How a store fails.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    content::{self, Code, Fault},
    files,
    oci::Digest,
};

/// `Result` of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store {} is in use by another process", dir.display())]
    Busy {
        /// The store's folder.
        dir: PathBuf,
    },
    /// There is none.
    #[error("{} is not a store", dir.display())]
    Absent {
        /// The folder that was given.
        dir: PathBuf,
    },
    /// The database is of a later version of airlift.
    #[error("the store's database {} has the format {found}; this airlift knows {known}", path.display())]
    Version {
        /// The database.
        path: PathBuf,
        /// The format it says it has.
        found: i64,
        /// The format known here.
        known: i64,
    },
    /// The database failed.
    #[error("the store's database failed")]
    Database(#[from] rusqlite::Error),
    /// The folder can be changed by others, or a file in it is not ours, or cannot be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The disk is full.
    #[error("no space is left in the store")]
    Full,
    /// An uploaded blob is another one.
    #[error("the upload has the digest {actual}, not {expected}")]
    Mismatch {
        /// What the client said.
        expected: Digest,
        /// What it sent.
        actual: Digest,
    },
    /// A manifest in the database is damaged.
    #[error("the stored manifest {digest} is damaged")]
    Damaged {
        /// The digest that its bytes no longer have.
        digest: Digest,
    },
    /// The upload was finished, cancelled, or taken over by a later request.
    #[error("the upload is over, or another request continues it")]
    Superseded,
}

impl StoreError {
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::Full;
        }
        Self::File(files::Error::Write { path: path.to_owned(), source })
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::File(files::Error::Read { path: path.to_owned(), source })
    }
}

impl Fault for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Busy { .. } => Code::OutputBusy,
            Self::File(error) => error.code(),
            Self::Absent { .. } => Code::UsageFile,
            Self::Version { .. } => Code::StoreVersion,
            Self::Database(error) if is_full(error) => Code::OutputSpace,
            Self::Database(_) | Self::Damaged { .. } => Code::StoreDatabase,
            Self::Full => Code::OutputSpace,
            Self::Mismatch { .. } => Code::ContentDigestMismatch,
            Self::Superseded => Code::StoreUpload,
        }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

impl From<StoreError> for content::Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Mismatch { expected, actual } => Self::DigestMismatch { expected, actual },
            error => Self::place(error),
        }
    }
}
