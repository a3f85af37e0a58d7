//! Names given to finished files.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

/// Renames `from` to `to`; without `replace` only if nothing is there.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if something is at `to` and `replace` is not set.
pub(crate) fn rename(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    if !replace {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some network file systems do not have this flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if fs::symlink_metadata(to).is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
            }
            outcome => return Ok(outcome?),
        }
    }
    fs::rename(from, to)
}

/// Removes a file, if there is one.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in `folder` durable. File systems that cannot sync a folder need not.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        outcome => outcome,
    }
}
