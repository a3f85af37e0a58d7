//! Why a local file could not be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::content::{self, Code, Fault};

/// `Result` of this room.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a local file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The output is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The output would take the place of what it is made of.
    #[error("{} is read to make the output, and the output would replace it", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
    },
    /// The name is taken by something that is not a file, and is not replaced by one.
    #[error("{} is {kind}, and airlift does not replace it by a file", path.display())]
    NotAFile {
        /// What is in the way.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// What is at the name of an unfinished file was not left there by a run of this user.
    #[error("{} {reason}, so airlift does not write to it", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        reason: &'static str,
    },
    /// A file beside a bundle is a link to another file.
    #[error("{} is a symbolic link, and what belongs to a bundle is a file of its own", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Another user can change what is in a folder that must be private.
    #[error("{} is owned by another user or writable by others", path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
    },
    /// There is no folder for the state.
    #[error("there is no folder for the state of unfinished work: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// Another run writes the same output.
    #[error("another run is writing {}", path.display())]
    Busy {
        /// The file that it holds.
        path: PathBuf,
    },
    /// The file system does not have enough room.
    #[error("{} needs {needed} bytes more, but its file system has only {free} bytes free", path.display())]
    Space {
        /// What was to be written.
        path: PathBuf,
        /// Bytes still needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The file system, or a limit of this process, allows no file of that size.
    #[error("{} would have {needed} bytes, but a file there can have only {limit}", path.display())]
    FileLimit {
        /// What was to be written.
        path: PathBuf,
        /// Its bytes.
        needed: u64,
        /// Bytes that a file can have.
        limit: u64,
    },
}

impl Error {
    /// For `map_err` of what was read from `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` of what was written to `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Read { source, .. } => {
                // What is read from elsewhere fails in its own ways.
                let elsewhere = source.get_ref().and_then(|cause| cause.downcast_ref::<content::Error>());
                elsewhere.map_or(Code::IoRead, Fault::code)
            }
            Self::Write { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Code::OutputSpace
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => Code::OutputFileLimit,
            Self::Write { .. } => Code::IoWrite,
            Self::Exists { .. } => Code::OutputExists,
            Self::Input { .. } => Code::OutputInput,
            Self::NotAFile { .. } => Code::OutputNotAFile,
            Self::Foreign { .. } | Self::Link { .. } => Code::OutputForeign,
            Self::Exposed { .. } | Self::NoHome => Code::IoExposed,
            Self::Busy { .. } => Code::OutputBusy,
            Self::Space { .. } => Code::OutputSpace,
            Self::FileLimit { .. } => Code::OutputFileLimit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_refuses_has_a_code_of_its_own() {
        let code = |kind: io::ErrorKind| Error::write(Path::new("x"))(kind.into()).code();
        assert_eq!(code(io::ErrorKind::FileTooLarge), Code::OutputFileLimit);
        assert_eq!(code(io::ErrorKind::StorageFull), Code::OutputSpace);
        assert_eq!(code(io::ErrorKind::PermissionDenied), Code::IoWrite);
    }
}
