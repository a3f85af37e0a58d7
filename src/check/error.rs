//! Why artifacts could not be checked, or were refused.

use std::{io, path::PathBuf};

use super::refusal::RefusedArtifact;
use crate::{
    bundle,
    content::{Code, Fault},
    server::ServerError,
    transfer,
};

/// Why a check ended a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Artifacts were refused, and nothing was done with any.
    #[error("{} of {all} artifacts were refused, so nothing was published", refusals.len())]
    Refused {
        /// Which, and why.
        refusals: Vec<RefusedArtifact>,
        /// How many were checked.
        all: usize,
    },
    /// The bundle cannot be served to the commands.
    #[error("the bundle cannot be served to the commands that check it")]
    Server(#[from] ServerError),
    /// Parts of a blob cannot be put together.
    #[error("the bundle cannot be put together for the commands that check it")]
    Bundle(#[from] bundle::Error),
    /// The export failed.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// The bundle that was checked cannot get its name, or one that was refused cannot be removed.
    #[error("{} cannot be published", path.display())]
    Publish {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A command cannot be started.
    #[error("{command} cannot be run")]
    Run {
        /// The command.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl Fault for CheckError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } => Code::CheckRefused,
            Self::Server(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Publish { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => Code::OutputExists,
            Self::Publish { .. } => Code::IoWrite,
            Self::Run { .. } => Code::CheckFailed,
        }
    }
}
