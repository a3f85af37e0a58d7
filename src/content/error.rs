//! The one error of the seam: what the engine must tell apart, and a box for what only the place itself knows.

use std::fmt;

use crate::oci::{Digest, ManifestError};

use super::code::Code;

/// `Result` of the seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that has a stable token. Every place's own error implements it.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// Which way of failing this is.
    fn code(&self) -> Code;
}

/// Why content could not be fetched, found, pushed, resolved or tagged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is definitely not there.
    #[error("{what} is not there")]
    NotFound {
        /// A digest, a tag or a reference.
        what: String,
    },
    /// The bytes are others than the digest says.
    #[error("{expected} has the digest {actual}")]
    DigestMismatch {
        /// The digest it was asked for by.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// There are fewer bytes than the descriptor says, or more (then `actual` is what was read before giving up).
    #[error("{digest} has {actual} bytes where its descriptor says {expected}")]
    SizeMismatch {
        /// The digest it was asked for by.
        digest: Digest,
        /// Bytes that its descriptor says.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// A document read whole is over its limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// A read ended before it gave all that was asked for.
    #[error("{what} gave {actual} bytes of the {expected} that were asked for")]
    Short {
        /// What was read.
        what: String,
        /// Bytes asked for.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// A manifest is not one that can be carried.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The place's own failure.
    #[error(transparent)]
    Place(PlaceError),
}

impl Error {
    /// Wraps a place's own failure.
    pub fn place(fault: impl Fault) -> Self {
        Self::Place(PlaceError(Box::new(fault)))
    }

    /// Whether this says that the content is definitely absent, as against unknown.
    pub fn is_not_found(&self) -> bool {
        matches!(self.code(), Code::ContentNotFound | Code::RegistryNotFound | Code::BundleMissing)
    }
}

/// A place's own failure, whatever its type. It reads, and leads on to its causes, as the failure itself does.
pub struct PlaceError(Box<dyn Fault>);

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::ContentNotFound,
            Self::DigestMismatch { .. } => Code::ContentDigestMismatch,
            Self::SizeMismatch { .. } => Code::ContentSizeMismatch,
            Self::TooLarge { .. } => Code::ContentTooLarge,
            Self::Short { .. } => Code::ContentShort,
            Self::Manifest(error) => error.code(),
            Self::Place(error) => error.0.code(),
        }
    }
}

impl Fault for ManifestError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::ManifestMalformed,
            Self::Ambiguous { .. } => Code::ManifestAmbiguous,
            Self::Schema1 { .. } => Code::ManifestSchema1,
        }
    }
}
