//! Small files, whose content is there at once: reports, sums, manifests.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    error::{Error, Result},
    name,
    rename::{remove, rename, sync_folder},
};

/// Writes a file of that name, durably; what an earlier run left there is replaced, a link never followed.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    remove(path).map_err(Error::write(path))?;
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(Error::write(path))
}

/// Permissions of a new file before the mask of the process.
pub(crate) const USUAL: u32 = 0o666;

/// Makes a small file visible at once and whole. What is there is replaced.
pub(crate) fn publish(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let partial = name::partial(path);
    write_new(&partial, content, mode)?;
    rename(&partial, path, true).map_err(Error::write(path))?;
    sync_folder(name::folder_of(path)).map_err(Error::write(path))
}

/// Makes a small file visible at once and whole, unless something is there; whether it did. Any number of processes may try at
/// the same time.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<bool> {
    let folder = name::folder_of(path);
    let write = || {
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(USUAL)).tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        match rename(file.path(), path, false) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            renamed => renamed?,
        }
        // It has another name now, so there is nothing to remove.
        let _ = file.into_temp_path().keep();
        sync_folder(folder).map(|()| true)
    };
    write().map_err(Error::write(path))
}

/// The report of a run, a file that only its owner can read.
#[derive(Clone, Debug)]
pub struct ReportFile(PathBuf);

impl ReportFile {
    /// Checks before a run that a report can be written at `path`, so that a run of hours does not fail at its very end.
    ///
    /// # Errors
    /// Its folder is not there or takes no files, or something other than a regular file is at `path`, a link too.
    pub fn check(path: &Path) -> Result<Self> {
        let folder = name::folder_of(path);
        let write = |path: &Path, kind: std::io::ErrorKind| Err(Error::write(path)(kind.into()));
        if !fs::metadata(folder).map_err(Error::write(path))?.is_dir() {
            return write(path, std::io::ErrorKind::NotADirectory);
        }
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => {
                Err(Error::Foreign { path: path.to_owned(), reason: "is a symbolic link" })
            }
            Ok(found) if found.is_dir() => write(path, std::io::ErrorKind::IsADirectory),
            Ok(found) if !found.is_file() => {
                Err(Error::Foreign { path: path.to_owned(), reason: "is not a regular file" })
            }
            _ => {
                // A report is written beside its name, and renamed: what its folder allows decides.
                tempfile::tempfile_in(folder).map_err(Error::write(path))?;
                Ok(Self(path.to_owned()))
            }
        }
    }

    /// Writes a file that has no list beside it, with the usual permissions.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_alone(&self, content: &[u8]) -> Result<()> {
        publish(&self.0, content, USUAL)
    }

    /// Writes the report, and beside it the artifacts to try again.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, report: &str, retry: &str) -> Result<()> {
        publish(&self.0, report.as_bytes(), 0o600)?;
        publish(&name::with_suffix(&self.0, ".retry.txt"), retry.as_bytes(), 0o600)
    }
}
