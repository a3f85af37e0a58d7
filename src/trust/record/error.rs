//! Why a record cannot be read or written.

use std::{io, path::PathBuf};

use crate::content::{Code, Fault};

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It was changed or cut, and a new line would hide that.
    #[error("{path} was changed or cut; nothing is appended to it")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// An entry is larger than a line may be.
    #[error("the entry is larger than the limit of {limit} bytes")]
    LongEntry {
        /// Bytes allowed.
        limit: u64,
    },
    /// A line is not JSON of these members.
    #[error("the line cannot be read")]
    Line {
        /// Why.
        source: serde_json::Error,
    },
    /// A line is of another version, or written in another way.
    #[error("the line is not canonical JSON of version 1")]
    NotCanonical,
}

impl Fault for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } => Code::UsageFile,
            Self::Write { .. } | Self::LongEntry { .. } => Code::IoWrite,
            Self::Damaged { .. } | Self::Line { .. } | Self::NotCanonical => Code::RecordDamaged,
        }
    }
}
