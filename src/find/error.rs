//! Why a search cannot be made.

use std::{io, path::PathBuf};

use super::{lists, rules::RulesError, tags::TagFilterError};
use crate::content::{Code, Fault};

/// Why a search cannot be made. What is wrong with one file of a folder is a [`super::Remark`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A source that was named cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The source.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A source that was named holds neither text nor a chart.
    #[error("{} is not text, and not a chart", .path.display())]
    Binary {
        /// The source.
        path: PathBuf,
    },
    /// A source is larger than airlift reads.
    #[error("{} is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The source.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A source changed twice while it was read.
    #[error("{} changes while it is read", .path.display())]
    Changing {
        /// The source.
        path: PathBuf,
    },
    /// An archive is not a chart, or is malformed.
    #[error("{} is not a chart: {reason}", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A list asks for something that cannot be done, or is malformed.
    #[error(transparent)]
    List(#[from] lists::Error),
    /// The file of rules.
    #[error(transparent)]
    SearchRules(#[from] RulesError),
    /// A choice of tags on the command line.
    #[error("--tags cannot be read")]
    Tags(#[from] TagFilterError),
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } | Self::Binary { .. } | Self::TooLarge { .. } | Self::SearchRules(_) => Code::UsageFile,
            Self::Changing { .. } => Code::IoRead,
            Self::Archive { .. } => Code::FindArchive,
            Self::List(error) => error.code(),
            Self::Tags(_) => Code::UsageArgument,
        }
    }
}
