//! Why a text is not a receipt.

use crate::content::{Code, Fault};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a text is not a receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not have the form of a receipt.
    #[error("this is not a receipt: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It is of a later version.
    #[error("expected a receipt of version {known}, got version {found}")]
    Version {
        /// The version that this program reads.
        known: u64,
        /// The version that it has.
        found: u64,
    },
    /// It is larger than a receipt may be.
    #[error("expected a receipt of at most {limit} bytes, got {size}")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
        /// Bytes it has.
        size: u64,
    },
}

impl Fault for Error {
    fn code(&self) -> Code {
        Code::UsageFile
    }
}
