//! What can end a run.

use std::path::PathBuf;

use super::{copy::Error as CopyError, failure::Failure, report::Report};
use crate::{
    bundle,
    content::{self, Code, Fault},
    files,
    oci::{Digest, Reference},
    packaging,
};

/// Why a run ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Artifacts failed, and the run was not told to go on without them.
    #[error("{}", summary(.report, .failures))]
    Artifacts {
        /// All that is known of every artifact of the run.
        report: Box<Report>,
        /// What failed; never empty.
        failures: Vec<Failure>,
    },
    /// The bundle could not be written or read.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// A local output is there already, has no room, or may not be written to.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A storage failed, or has no such bundle.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
    /// A copy could not be made or proven.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A bundle could not be packed, or a packed file could not be read.
    #[error(transparent)]
    Pack(#[from] crate::pack::Error),
    /// Recovery data could not be made, read or used.
    #[error(transparent)]
    Recovery(#[from] crate::recovery::Error),
    /// A sound bundle lies where the recovery data was made of another.
    #[error("{} is sound, and not the file that the recovery data beside it was made of", path.display())]
    StaleRecovery {
        /// The bundle.
        path: PathBuf,
    },
    /// A place failed in a way that is not a single artifact's fault.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// Two artifacts would be given the same name in the target.
    #[error("{first} and {second} would both become {target}, and they differ")]
    Collision {
        /// One artifact.
        first: Box<Reference>,
        /// The other.
        second: Box<Reference>,
        /// The name.
        target: Box<Reference>,
    },
    /// Two places have different artifacts of one name.
    #[error("{artifact} is {first} in one place and {second} in another")]
    TwoOfOneName {
        /// The name.
        artifact: Box<Reference>,
        /// What it names in one place.
        first: Digest,
        /// What it names in another.
        second: Digest,
    },
    /// A name means several artifacts, where one was asked for.
    #[error("{pattern:?} is the name of several artifacts: {first}, {second}")]
    SeveralMatch {
        /// The name.
        pattern: String,
        /// One of them.
        first: Box<Reference>,
        /// Another one.
        second: Box<Reference>,
    },
    /// An artifact could not be made of files, or its files not be extracted.
    #[error(transparent)]
    Package(#[from] packaging::Error),
    /// A receipt cannot be used.
    #[error("{} cannot be used", path.display())]
    Receipt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::holding::Error,
    },
    /// A registry lists no artifacts to compare with another registry's.
    #[error("both places are registries, and a registry is asked for the artifacts of the other place")]
    TwoRegistries,
    /// A pattern of names means no artifact of the bundles.
    #[error("no artifact in the bundle matches {pattern:?}")]
    NoneMatches {
        /// The pattern.
        pattern: String,
    },
    /// A repository of a store has no name that a reference can have.
    #[error("the store's repository {repository} has no full name")]
    UnnamedRepository {
        /// The repository.
        repository: String,
        /// What is wrong with it.
        source: crate::oci::reference::ParseReferenceError,
    },
    /// A reference in the bundle cannot be turned into one for the target.
    #[error("{artifact} cannot be renamed for the target")]
    Rename {
        /// The artifact in the bundle.
        artifact: Box<Reference>,
        /// What is wrong with the new name.
        source: crate::oci::reference::ParseReferenceError,
    },
    /// The bundle is not what it should be, found before anything was pushed.
    #[error("{} is damaged: {findings} finding(s), the first: {first}", path.display())]
    Damaged {
        /// Which bundle.
        path: PathBuf,
        /// How many.
        findings: usize,
        /// One of them.
        first: String,
        /// Its token.
        code: Code,
    },
    /// A file could not be written, read or removed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A task of ours ended in a panic.
    #[error("a task of the run ended abnormally")]
    Task(#[from] tokio::task::JoinError),
}

fn summary(report: &Report, failures: &[Failure]) -> String {
    format!("{} of {} artifacts failed", failures.len(), report.artifacts.len())
}

impl Error {
    /// What is known of every artifact, where the run came that far.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Artifacts { report, .. } => Some(report),
            _ => None,
        }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Artifacts { failures, .. } => failures.first().map_or(Code::Internal, Fault::code),
            Self::Bundle(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Copy(error) => error.code(),
            Self::Pack(error) => error.code(),
            Self::Recovery(error) => error.code(),
            Self::StaleRecovery { .. } => Code::RecoveryStale,
            Self::Content(error) => error.code(),
            Self::Collision { .. } | Self::TwoOfOneName { .. } => Code::TransferTagCollision,
            Self::Package(error) => error.code(),
            Self::SeveralMatch { .. } | Self::TwoRegistries => Code::UsageArgument,
            Self::Receipt { source, .. } => source.code(),
            Self::NoneMatches { .. } => Code::ContentNotFound,
            Self::Rename { .. } | Self::UnnamedRepository { .. } => Code::UsageReference,
            Self::Damaged { code, .. } => *code,
            Self::Io { what: "read", .. } => Code::IoRead,
            Self::Io { .. } => Code::IoWrite,
            Self::Task(_) => Code::Internal,
        }
    }
}
