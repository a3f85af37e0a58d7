//! Why a bundle could not be packed, or a packed file could not be read.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::deflate::{CheckpointError, MembersError};
use crate::{
    bundle,
    content::{self, Code, Fault},
    files,
    oci::Digest,
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a bundle could not be packed, or a packed file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, is there already, or has no room.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The bundle could not be read or written.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// Content of the bundle could not be read.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// The file is damaged: bytes are not those that were written.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the damaged part begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file ends too early, or bytes follow its end.
    #[error("{} has {found} bytes; by its head it has {expected}", path.display())]
    Length {
        /// Which file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// The bytes that it must have.
        expected: u64,
    },
    /// The head is sealed and says something that cannot be.
    #[error("the head of {} is malformed: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A packed file of a later format.
    #[error("{} has format version {found}; this airlift reads version {}", path.display(), super::head::HEAD.version)]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version that it names.
        found: u32,
    },
    /// A recipe that this program does not know, or that is malformed.
    #[error("the recipe of {blob} in {} cannot be used", path.display())]
    Recipe {
        /// Which file.
        path: PathBuf,
        /// The blob.
        blob: Digest,
        /// What is wrong.
        source: MembersError,
    },
    /// Checkpoints that this program does not know, or that are malformed.
    #[error("the checkpoints of {blob} in {} cannot be used", path.display())]
    Checkpoints {
        /// Which file.
        path: PathBuf,
        /// The blob.
        blob: Digest,
        /// What is wrong.
        source: CheckpointError,
    },
    /// A recipe makes another number of bytes than the blob has.
    #[error("the recipe of {blob} in {} makes other than its {size} bytes", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// The blob.
        blob: Digest,
        /// The bytes that it has.
        size: u64,
    },
    /// Decoding needs more memory than was allowed.
    #[error("{} needs {needed} bytes of memory to be read; the limit is {limit}", path.display())]
    Memory {
        /// Which file.
        path: PathBuf,
        /// Bytes that decoding needs.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
    },
    /// Layers that the receiver should have are not given.
    #[error("{} was packed against layers that are not given: {missing}, the first of them {first}", path.display())]
    BaseMissing {
        /// Which file.
        path: PathBuf,
        /// How many are missing.
        missing: usize,
        /// One of them.
        first: Digest,
    },
    /// Volumes are not there.
    #[error("the packed file of bundle {id} lacks {}", missing.join(", "))]
    VolumesMissing {
        /// The bundle's id.
        id: Digest,
        /// What they are called.
        missing: Vec<String>,
    },
    /// A base layer is not what its digest says.
    #[error("the base layer {layer} in {} is damaged; {} was packed against it", base.display(), path.display())]
    BaseDamaged {
        /// Which packed file needs it.
        path: PathBuf,
        /// The layer.
        layer: Digest,
        /// The bundle, or the place in the target, that has it.
        base: PathBuf,
        /// What went wrong with it.
        source: Box<Error>,
    },
    /// A base layer is not among those that were given, or cannot be read.
    #[error("the base layer {layer} is not there")]
    BaseUnknown {
        /// The layer.
        layer: Digest,
    },
    /// So many frames, or lists of members, are more than a head can have.
    #[error("{} is too large for a packed file with {memory} bytes of memory: its head would be longer than any may be", path.display())]
    HeadTooLong {
        /// The bundle.
        path: PathBuf,
        /// Bytes of memory that reading the packed file may take.
        memory: u64,
    },
    /// What is to be packed is not a whole bundle of ours.
    #[error("{} cannot be packed: {reason}", path.display())]
    NotPackable {
        /// What was given.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// What is to be unpacked is something else.
    #[error("{} is not a packed file", path.display())]
    NotPacked {
        /// What was given.
        path: PathBuf,
    },
    /// What was written does not decode to what was read. Nothing was published.
    #[error("{} was packed and does not decode to the same bytes; nothing was published", path.display())]
    Unproven {
        /// The bundle.
        path: PathBuf,
        /// The first thing that differs.
        source: Box<bundle::Error>,
    },
    /// zstd refused its input or its settings.
    #[error("zstd failed on {}: {reason}", path.display())]
    Zstd {
        /// Which file.
        path: PathBuf,
        /// What it says.
        reason: &'static str,
    },
}

impl Error {
    /// For `map_err` of what was read from `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = files::Error::read(path);
        move |source| Self::File(error(source))
    }

    /// For `map_err` of what was written to `path`.
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = files::Error::write(path);
        move |source| Self::File(error(source))
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Damaged { .. }
            | Self::Length { .. }
            | Self::Malformed { .. }
            | Self::Recipe { .. }
            | Self::Checkpoints { .. }
            | Self::Unfit { .. } => Code::PackMalformed,
            Self::Version { .. } => Code::PackVersion,
            Self::VolumesMissing { .. } => Code::PackVolumeMissing,
            Self::Memory { .. } => Code::PackMemory,
            Self::BaseMissing { .. } | Self::BaseUnknown { .. } => Code::PackBaseMissing,
            Self::BaseDamaged { .. } => Code::PackBaseDamaged,
            Self::HeadTooLong { .. } => Code::PackTooLarge,
            Self::NotPackable { .. } => Code::PackUnpackable,
            Self::NotPacked { .. } => Code::PackNotPacked,
            Self::Unproven { .. } => Code::PackUnproven,
            Self::Zstd { .. } => Code::Internal,
        }
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Content(error) => error,
            other => Self::place(other),
        }
    }
}
