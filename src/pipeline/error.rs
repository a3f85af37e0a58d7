//! What can go wrong with pipelines beside what can go wrong in the engines.

use std::{io, path::PathBuf};

use jiff::Timestamp;

use super::{
    resource::{Problem, ResourceId},
    secret,
};
use crate::{
    content::{Code, Fault},
    files,
    oci::Digest,
    registry, storage,
    transfer::{self, vouch::VouchError},
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who holds a bundle's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// Its process.
    pub process: u32,
    /// The machine it is on.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { run, process, host, since } = self;
        write!(f, "the run {run} (process {process} on {host}, since {since})")
    }
}

/// Why something was not done with a pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A resource, or several, have problems; nothing was stored.
    #[error("{what}: {} problem(s), nothing was stored", problems.len())]
    Invalid {
        /// The file, or what else they come from.
        what: String,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A file is neither JSON nor YAML.
    #[error("{file} cannot be read: {reason}")]
    Syntax {
        /// The file as it was given.
        file: String,
        /// The parser's complaint.
        reason: String,
    },
    /// There is no such resource.
    #[error("there is no {} {} in the registry {}", id.kind.noun(), id.name, id.registry)]
    NotFound {
        /// Which.
        id: ResourceId,
    },
    /// Another run works on the same bundle of the same pipeline.
    #[error("{holder} works on {blob} of the {} {}", pipeline.kind.noun(), pipeline.name)]
    Busy {
        /// The pipeline.
        pipeline: ResourceId,
        /// The bundle's name.
        blob: String,
        /// Who, for people.
        holder: String,
    },
    /// A run that is under way cannot be removed.
    #[error("{holder} is under way")]
    Running {
        /// Who.
        holder: String,
    },
    /// More artifacts than a run takes.
    #[error("a maximum of {limit} artifacts can be transferred with each PipelineRun, and {count} were asked for")]
    TooManyArtifacts {
        /// How many.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The bundle is another than was asked for.
    #[error("{what} has the digest {actual}, and catalogDigest is {expected}; nothing was imported")]
    CatalogDigest {
        /// The bundle.
        what: String,
        /// What was asked for.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The state cannot be read or written.
    #[error("the state of the pipelines cannot be kept")]
    Database(#[from] rusqlite::Error),
    /// The state was written by a later airlift.
    #[error("{} is of format {found}, and this airlift knows {known}", path.display())]
    Version {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A row in the state cannot be understood.
    #[error("what the state says of {what} cannot be read: {reason}")]
    Damaged {
        /// Of what.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A file or folder of the state cannot be made or read.
    #[error("{} cannot be used for the state of the pipelines", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder of the state is not private, is not known, or has a file in it that is not ours.
    #[error("the state of the pipelines cannot be trusted: {0}")]
    File(#[from] files::Error),
    /// The secret could not be fetched.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// Nobody whom the site trusts vouches for the bundle, or it cannot be said.
    #[error("{}", findings(.0))]
    Vouch(#[from] VouchError),
    /// The engine failed.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The client of registries could not be made.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::PipelineInvalid,
            Self::Syntax { .. } => Code::UsageFile,
            Self::NotFound { .. } => Code::PipelineNotFound,
            Self::Busy { .. } | Self::Running { .. } => Code::PipelineBusy,
            Self::TooManyArtifacts { .. } => Code::UsageTooManyArtifacts,
            Self::CatalogDigest { .. } => Code::PipelineCatalogDigest,
            Self::Database(error) if is_full(error) => Code::OutputSpace,
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::StorageFull => Code::OutputSpace,
            Self::Database(_) | Self::Damaged { .. } | Self::Folder { .. } | Self::File(_) => Code::PipelineState,
            Self::Version { .. } => Code::PipelineStateVersion,
            Self::Secret(error) => error.code(),
            Self::Vouch(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Registry(error) => error.code(),
        }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// A refusal with everything that was found, on one line: a run has no other place to say it.
fn findings(error: &VouchError) -> String {
    let VouchError::Refused { findings, .. } = error else { return error.to_string() };
    let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
    format!("{error}: {}", findings.join("; "))
}
