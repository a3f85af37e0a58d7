//! Why recovery data could not be made, read or used.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    bundle,
    content::{Code, Fault},
    files,
    oci::Digest,
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why recovery data could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written; an output is there already, held by another run, or has no room.
    #[error(transparent)]
    File(#[from] bundle::Error),
    /// There is no recovery data.
    #[error("there is no recovery data beside {}", path.display())]
    NotFound {
        /// Beside what it was looked for.
        path: PathBuf,
    },
    /// Recovery data of several sets, and nothing says which is meant.
    #[error("{} holds recovery data of {count} sets; name a file of the one that is meant", path.display())]
    Several {
        /// Where they are.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// A recovery file says what no recovery file of ours says.
    #[error("{} is malformed: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Recovery data of a later format.
    #[error("{} has recovery format {found}; this airlift reads {}", path.display(), super::head::VERSION)]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version it says.
        found: u32,
    },
    /// More is damaged than can be rebuilt. Nothing was changed.
    #[error(
        "the damage exceeds the recovery data in {groups} of {of_groups} groups of blocks; the worst group lost \
         {worst_lost} blocks and has {worst_sound} recovery blocks left ({lost} of {blocks} blocks are damaged or missing in \
         all, and {sound} of {recovery} recovery blocks are sound)"
    )]
    Beyond {
        /// Protected blocks that are damaged or missing.
        lost: u64,
        /// Protected blocks.
        blocks: u64,
        /// Recovery blocks that are sound.
        sound: u64,
        /// Recovery blocks there should be.
        recovery: u64,
        /// Groups that cannot be rebuilt.
        groups: u64,
        /// Groups.
        of_groups: u64,
        /// Blocks lost in the worst of them.
        worst_lost: u64,
        /// Recovery blocks it has.
        worst_sound: u64,
    },
    /// What was rebuilt does not have the digest that it must have. Nothing was changed.
    #[error("what was rebuilt of {name} has the digest {actual}, and must have {expected}")]
    Unproven {
        /// Which file.
        name: String,
        /// The digest that the head says.
        expected: Digest,
        /// The digest of what was rebuilt.
        actual: Digest,
    },
    /// A file changed while recovery data was made of it, or while it was read for a repair.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// Nothing to protect, too much of it, or names that cannot stand in a head.
    #[error("recovery data cannot be made: {reason}")]
    Unfit {
        /// Why not.
        reason: String,
    },
    /// The code refused what our own arithmetic gave it.
    #[error("the Reed-Solomon code failed")]
    Code(#[from] reed_solomon_simd::Error),
}

impl Error {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = bundle::Error::read(path);
        move |source| error(source).into()
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = bundle::Error::write(path);
        move |source| error(source).into()
    }

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), reason: reason.into() }
    }
}

impl From<files::Error> for Error {
    fn from(error: files::Error) -> Self {
        Self::File(error.into())
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::NotFound { .. } => Code::RecoveryNotFound,
            Self::Several { .. } | Self::Unfit { .. } => Code::UsageArgument,
            Self::Malformed { .. } => Code::RecoveryMalformed,
            Self::Version { .. } => Code::RecoveryVersion,
            Self::Beyond { .. } => Code::RecoveryBeyond,
            Self::Unproven { .. } => Code::RecoveryUnproven,
            Self::Changed { .. } => Code::RecoveryChanged,
            Self::Code(_) => Code::Internal,
        }
    }
}
