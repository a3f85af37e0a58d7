//! Why a bundle could not be written or read.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    content::{self, Code, Fault},
    files,
    oci::{Digest, ManifestError, PeerText, graph::OverBudget},
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a bundle could not be written or read. Offsets are bytes from the start of the (expanded) file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, is there already, is held by another run, or has no room.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A volume is to be smaller than what every volume must hold.
    #[error("a volume of {size} bytes is too small for this bundle: it takes {needed} bytes or more")]
    VolumeSize {
        /// Bytes asked for.
        size: u64,
        /// Bytes that it takes at the least.
        needed: u64,
    },
    /// A volume that was made once more is not the one that the set has.
    #[error("this is not the volume of the set at {}: {reason}", path.display())]
    NotTheSet {
        /// The set's manifest.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Volumes of the set are not there.
    #[error("the set of bundle {id} lacks {}", missing.join(", "))]
    VolumesMissing {
        /// The bundle's id.
        id: Digest,
        /// What they are called.
        missing: Vec<String>,
    },
    /// A file stands where a volume of the set should, and is none of it.
    #[error("{} is not of this set: {reason}", path.display())]
    VolumeWrong {
        /// Which file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A manifest or the sums of a set are not as they must be.
    #[error("{}: {reason}", path.display())]
    SetManifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no such volume.
    #[error("there is no volume {number}: the set has {volumes}")]
    NoVolume {
        /// The volume asked for.
        number: u32,
        /// How many there are.
        volumes: u32,
    },
    /// Neither a bundle nor an image layout, nor an archive of one.
    #[error("{} is not a bundle: {reason}", path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// What it looks like instead.
        reason: String,
    },
    /// A bundle of a later format.
    #[error("the bundle has format version {found}; this airlift reads version {}", super::facts::VERSION)]
    Version {
        /// The version it says.
        found: u64,
    },
    /// The file ends too early.
    #[error("the bundle ends at byte {length}, within {entry}; it must have {expected} bytes or more")]
    Truncated {
        /// Bytes that are there.
        length: u64,
        /// Bytes that had to be there at the least.
        expected: u64,
        /// The entry it ends in.
        entry: String,
    },
    /// The tar is not built as it must be.
    #[error("{entry} at byte {offset} is malformed: {reason}")]
    Structure {
        /// Where.
        offset: u64,
        /// In which entry.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry that a bundle must not have.
    #[error("the entry {entry:?} at byte {offset} is refused: {reason}")]
    Entry {
        /// Where its header begins.
        offset: u64,
        /// Its name.
        entry: String,
        /// What it is.
        reason: String,
    },
    /// A sealed document is not the one that was sealed.
    #[error("{document} is not as it was sealed: {reason}")]
    Seal {
        /// `index.json` or `airlift.json`.
        document: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Bytes are others than their digest says.
    #[error("{expected} at byte {offset} has the digest {actual}")]
    DigestMismatch {
        /// The digest it is stored under.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
        /// Where it begins; 0 where it is a file of its own.
        offset: u64,
    },
    /// Several machines write the set, and it has no manifest yet.
    #[error("{}: the set is not complete, since it has no manifest yet", path.display())]
    Unsealed {
        /// The mark that says so.
        path: PathBuf,
    },
    /// The bytes of a segment are others than its volume says.
    #[error("the segment of {digest} at byte {offset} has the digest {actual}, its volume says {expected}")]
    Segment {
        /// Of which blob.
        digest: Digest,
        /// The digest that the volume says.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
        /// Where in its volume it begins.
        offset: u64,
    },
    /// Two places say different sizes of one digest.
    #[error("{digest} has {actual} bytes where {expected} were expected")]
    SizeMismatch {
        /// Of what.
        digest: Digest,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// Content that must be there is not.
    #[error("the bundle lacks {digest}")]
    Missing {
        /// Which content.
        digest: Digest,
    },
    /// An entry that the plan does not have.
    #[error("the entry {entry:?} at byte {offset} belongs to nothing in the bundle")]
    Foreign {
        /// Where its header begins.
        offset: u64,
        /// Its name.
        entry: String,
    },
    /// A document that is read whole is over its limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// What a manifest says of content has characters that deceive people.
    #[error("the {field} of {digest} has control characters or marks of direction: {}", PeerText(text))]
    Text {
        /// Which content.
        digest: Digest,
        /// Where.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// The manifests together are more than is read.
    #[error(transparent)]
    Budget(#[from] OverBudget),
    /// A manifest cannot be carried.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A blob was pushed that the plan does not have.
    #[error("{digest} is not in the plan of the bundle")]
    Unplanned {
        /// Which blob.
        digest: Digest,
    },
    /// A streamed bundle was given its blobs in another order than the file's.
    #[error("{found} was given where the bundle continues with {expected}")]
    Order {
        /// What comes next in the file, or `the end`.
        expected: String,
        /// What was given.
        found: Digest,
    },
    /// The bundle was to be finished before all its blobs were there.
    #[error("{missing} blobs of the bundle were not fetched, the first is {first}")]
    Incomplete {
        /// How many.
        missing: usize,
        /// The first of them in the file.
        first: Digest,
    },
    /// The blob's content did not verify.
    #[error(transparent)]
    Content(Box<content::Error>),
}

impl Error {
    /// The content it concerns, if it is about one.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::DigestMismatch { expected: digest, .. }
            | Self::SizeMismatch { digest, .. }
            | Self::Missing { digest }
            | Self::Text { digest, .. }
            | Self::Segment { digest, .. }
            | Self::Unplanned { digest } => Some(*digest),
            Self::Structure { entry, .. } | Self::Truncated { entry, .. } => blob_digest(entry),
            _ => None,
        }
    }

    /// Where in the file it is, if it is somewhere.
    pub const fn offset(&self) -> Option<u64> {
        match self {
            Self::DigestMismatch { offset, .. }
            | Self::Segment { offset, .. }
            | Self::Structure { offset, .. }
            | Self::Entry { offset, .. }
            | Self::Foreign { offset, .. }
            | Self::Truncated { length: offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// For `map_err` of what was read from `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = files::Error::read(path);
        move |source| Self::File(error(source))
    }

    /// For `map_err` of what was written to `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = files::Error::write(path);
        move |source| Self::File(error(source))
    }
}

/// The digest by which an entry is named.
fn blob_digest(entry: &str) -> Option<Digest> {
    let (algorithm, hex) = match entry.strip_prefix("segments/") {
        Some(segment) => segment.rsplit_once('/')?.0.split_once('/')?,
        None => entry.strip_prefix("blobs/")?.split_once('/')?,
    };
    format!("{algorithm}:{hex}").parse().ok()
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::VolumeSize { .. } => Code::UsageVolumeSize,
            Self::NoVolume { .. } => Code::UsageArgument,
            Self::NotTheSet { .. } | Self::VolumeWrong { .. } => Code::BundleVolumeWrong,
            Self::VolumesMissing { .. } => Code::BundleVolumeMissing,
            Self::SetManifest { .. } => Code::BundleSet,
            Self::Unsealed { .. } => Code::BundleUnsealed,
            Self::Unknown { .. } => Code::BundleUnknown,
            Self::Version { .. } => Code::BundleVersion,
            Self::Truncated { .. } => Code::BundleTruncated,
            Self::Structure { .. } => Code::BundleStructure,
            Self::Entry { .. } => Code::BundleEntry,
            Self::Seal { .. } => Code::BundleSeal,
            Self::DigestMismatch { .. } | Self::Segment { .. } => Code::BundleDigestMismatch,
            Self::SizeMismatch { .. } => Code::BundleSizeMismatch,
            Self::Missing { .. } => Code::BundleMissing,
            Self::Foreign { .. } => Code::BundleForeignEntry,
            Self::Text { .. } => Code::BundleText,
            Self::TooLarge { .. } | Self::Budget(_) => Code::ContentTooLarge,
            Self::Manifest(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Unplanned { .. } | Self::Order { .. } | Self::Incomplete { .. } => Code::Internal,
        }
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Content(error) => *error,
            other => Self::place(other),
        }
    }
}

impl From<content::Error> for Error {
    fn from(error: content::Error) -> Self {
        Self::Content(Box::new(error))
    }
}
