//! Why an artifact cannot be made of files, or files of an artifact.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::program::ProgramFailure;
use crate::{
    content::{self, Code, Fault},
    files,
    oci::{Digest, Reference, reference::ParseReferenceError},
};

/// Why an artifact cannot be made, or not be taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is not the same as when its digest was computed.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// Which one.
        path: PathBuf,
    },
    /// Something that cannot be part of an artifact.
    #[error("{} cannot be carried: {reason}", path.display())]
    Entry {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// No repository can be named after a file.
    #[error("{} has no name that a repository can have", path.display())]
    Unnamed {
        /// The file.
        path: PathBuf,
    },
    /// A name that was made for an artifact is none.
    #[error("the artifact of {} cannot be named", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        source: ParseReferenceError,
    },
    /// Two files of one artifact have one name.
    #[error("{artifact} would have two files named {title:?}")]
    TwoOfOneTitle {
        /// The artifact.
        artifact: Box<Reference>,
        /// The name.
        title: String,
    },
    /// Two artifacts that are made have one name.
    #[error("{artifact} would be {first} and {second}")]
    TwoOfOneName {
        /// The name.
        artifact: Box<Reference>,
        /// One of them.
        first: Digest,
        /// The other.
        second: Digest,
    },
    /// A chart, or the index that names it, cannot be used.
    #[error("the chart {chart} cannot be carried: {reason}")]
    Chart {
        /// The chart, as it was named.
        chart: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository has no such chart.
    #[error("there is no chart {chart}: {reason}")]
    NoChart {
        /// The chart, as it was named.
        chart: String,
        /// What there is.
        reason: String,
    },
    /// A chart is not the one that the index names.
    #[error("the chart {chart} has the digest {actual}, and the index says {expected}")]
    ChartDigest {
        /// The chart, as it was named.
        chart: String,
        /// The digest in the index.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// An archive of `docker save` is damaged, or is none.
    #[error("the archive {} cannot be used: {reason}", path.display())]
    Saved {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No image in an archive has a name.
    #[error("no image in {} has a name, so none can be taken", path.display())]
    NoNames {
        /// Which archive.
        path: PathBuf,
    },
    /// A program of another maker did not do what it was asked for.
    #[error(transparent)]
    Program(#[from] ProgramFailure),
    /// Who takes the bytes has gone. It is not shown: there the failure has a reason of its own.
    #[error("the content was not taken")]
    Sent {
        /// What the system says.
        source: io::Error,
    },
    /// An artifact has a file that must not be written.
    #[error("{artifact} has a file that airlift does not write, {name:?}: {reason}")]
    Unsafe {
        /// The artifact.
        artifact: Box<Reference>,
        /// The file's name, or that of an entry in its archive.
        name: String,
        /// Why not.
        reason: String,
    },
    /// An artifact has no files.
    #[error("{artifact} has no files to extract: none of its layers has a file name")]
    NoFiles {
        /// The artifact.
        artifact: Box<Reference>,
    },
    /// A local file cannot be read or written, or is there already.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The bundle has other content than it should, or cannot be read.
    #[error(transparent)]
    Content(#[from] content::Error),
}

impl Error {
    /// For `map_err` of what was read from `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = files::Error::read(path);
        move |source| Self::File(error(source))
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            // What was named is not there.
            Self::File(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Code::UsageFile
            }
            Self::Changed { .. } => Code::PackageChanged,
            Self::Entry { .. } => Code::PackageEntry,
            Self::Unnamed { .. } | Self::Name { .. } | Self::NoNames { .. } => Code::PackageName,
            Self::TwoOfOneTitle { .. } | Self::TwoOfOneName { .. } => Code::PackageTwice,
            Self::Saved { .. } => Code::PackageArchive,
            Self::Program(ProgramFailure::Missing { .. }) => Code::ProgramMissing,
            Self::Program(_) => Code::ProgramFailed,
            Self::Chart { .. } => Code::ChartMalformed,
            Self::NoChart { .. } => Code::ChartNotFound,
            Self::ChartDigest { .. } => Code::ChartDigest,
            Self::Sent { .. } => Code::Internal,
            Self::Unsafe { .. } => Code::ExtractUnsafe,
            Self::NoFiles { .. } => Code::ExtractNoFiles,
            Self::File(error) => error.code(),
            Self::Content(error) => error.code(),
        }
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        Self::place(error)
    }
}
