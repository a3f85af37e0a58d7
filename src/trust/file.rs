//! Small local files that are read whole: bounded, regular, and not behind a symbolic link.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::content::{Code, Fault};

/// Bytes of a statement, a signature, a key or a trust file.
pub const LIMIT: u64 = 1 << 20;

/// Why a small file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not there.
    #[error("{path} does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file of this name is there already.
    #[error("{path} exists")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is a link, a folder, a device or a pipe.
    #[error("{path} is not a regular file (symbolic links are not followed here)")]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than such a file may be.
    #[error("{path} has {size} bytes, and the limit is {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Others than its owner can read or change it.
    #[error("{path} has the mode {mode:03o}: others than its owner can use it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The system cannot read it.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system cannot write it.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Fault for FileError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::NotRegular { .. } | Self::TooLarge { .. } | Self::Read { .. } => {
                Code::UsageFile
            }
            Self::Exists { .. } => Code::OutputExists,
            Self::Exposed { .. } => Code::SecretExposed,
            Self::Write { .. } => Code::IoWrite,
        }
    }
}

/// Whether a symbolic link may lead to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

/// The bytes of a file that came with a bundle. A symbolic link is refused.
pub fn read_companion(path: &Path) -> Result<Vec<u8>, FileError> {
    read(path, &open(path, Links::Refuse)?)
}

/// The bytes of a file that the person named, such as a trust file or a public key.
pub fn read_named(path: &Path) -> Result<Vec<u8>, FileError> {
    read(path, &open(path, Links::Follow)?)
}

/// The bytes of a private key. Only its owner may have any permission on it.
pub fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = open(path, Links::Follow)?;
    let mode = file.metadata().map_err(|source| read_error(path, source))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    read(path, &file)
}

/// Writes a new file whole, by a name of its own first. A file of that name is left alone and is an error.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".airlift-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ => failed(error.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn open(path: &Path, links: Links) -> Result<File, FileError> {
    // Without O_NONBLOCK the opening of a pipe waits for its writer.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|error| match error {
        rustix::io::Errno::LOOP => FileError::NotRegular { path: path.to_owned() },
        rustix::io::Errno::NOENT => FileError::Missing { path: path.to_owned() },
        error => read_error(path, error.into()),
    })?;
    let metadata = file.metadata().map_err(|source| read_error(path, source))?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    Ok(file)
}

fn read(path: &Path, file: &File) -> Result<Vec<u8>, FileError> {
    let too_large = |size| FileError::TooLarge { path: path.to_owned(), size, limit: LIMIT };
    let size = file.metadata().map_err(|source| read_error(path, source))?.size();
    if size > LIMIT {
        return Err(too_large(size));
    }
    let mut content = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut content).map_err(|source| read_error(path, source))?;
    match u64::try_from(content.len()) {
        Ok(size) if size <= LIMIT => Ok(content),
        _ => Err(too_large(LIMIT + 1)),
    }
}

fn read_error(path: &Path, source: io::Error) -> FileError {
    FileError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_link_is_followed_only_where_the_person_named_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        create(&file, 0o644, b"content").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read_companion(&file).unwrap(), b"content");
        assert_eq!(read_named(&link).unwrap(), b"content");
        assert!(matches!(read_companion(&link), Err(FileError::NotRegular { .. })));
        assert!(matches!(read_companion(folder.path()), Err(FileError::NotRegular { .. })));
        assert!(matches!(create(&file, 0o644, b"other"), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&file).unwrap(), b"content");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_of_a_gibibyte_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert!(matches!(read_companion(&path), Err(FileError::TooLarge { size, .. }) if size == 1 << 30));
    }

    #[test]
    fn a_pipe_does_not_stall_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(read_companion(&path), Err(FileError::NotRegular { .. })));
    }

    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false)] {
            let path = folder.path().join(format!("{mode:o}"));
            create(&path, mode, b"key").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_private(&path).is_ok(), good, "{mode:o}");
        }
    }
}
