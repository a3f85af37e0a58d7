//! Files that airlift writes to, opened without following links. In a folder that others may write to, a link or a file
//! that somebody has put there could lead us to change what is not ours.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{fs::OFlags, process::geteuid};

use super::{
    error::{Error, Result},
    name::folder_of,
};

/// Permissions of a file that is for its owner only.
const PRIVATE: u32 = 0o600;

/// How a file is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// With the permissions that the process gives to new files.
    Usual,
    /// Readable by its owner only.
    Private,
}

/// Opens the file at `path` for reading and writing, or creates it. What is in it stays.
///
/// # Errors
/// [`Error::Foreign`] where it is a link, is not a regular file, has another name too, or belongs to another user.
pub(crate) fn own(path: &Path, access: Access) -> Result<File> {
    let mut options = OpenOptions::new();
    if access == Access::Private {
        options.mode(PRIVATE);
    }
    // A pipe without a reader would be waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).write(true).create(true).truncate(false).custom_flags(flags.bits().cast_signed());
    let foreign = |reason| Error::Foreign { path: path.to_owned(), reason };
    let file = options.open(path).map_err(|error| match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => foreign("is a symbolic link"),
        Ok(found) if !found.is_file() => foreign("is not a regular file"),
        Ok(found) if found.uid() != geteuid().as_raw() => foreign("belongs to another user"),
        _ => Error::write(path)(error),
    })?;
    let found = file.metadata().map_err(Error::read(path))?;
    if !found.is_file() {
        return Err(foreign("is not a regular file"));
    }
    if found.nlink() > 1 {
        return Err(foreign("is a hard link to another file"));
    }
    if found.uid() != geteuid().as_raw() && found.uid() != owner_of_new(folder_of(path))? {
        return Err(foreign("belongs to another user"));
    }
    Ok(file)
}

/// Who owns a file that this process creates in `folder`: on mounts with a fixed owner, and on network file systems that map
/// users, that is somebody else.
fn owner_of_new(folder: &Path) -> Result<u32> {
    let probe = tempfile::tempfile_in(folder).and_then(|file| file.metadata());
    Ok(probe.map_err(Error::write(folder))?.uid())
}

/// What is neither a file nor a link, with its article.
fn other_than_file(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_symlink() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        Some("a pipe or a socket")
    }
}

/// Checks that a run may give its output the name `goal`: nothing is there, or a file that is to be replaced.
///
/// # Errors
/// There is a file and `overwrite` was not asked for; or there is a folder, a device, a pipe: a rename would put a file in
/// the place of `/dev/sdb`, which a caller who asks for a bundle on that disk does not mean.
pub(crate) fn check_goal(goal: &Path, overwrite: bool) -> Result<()> {
    match fs::symlink_metadata(goal) {
        Ok(found) => match other_than_file(found.file_type()) {
            Some(kind) => Err(Error::NotAFile { path: goal.to_owned(), kind }),
            None if !overwrite => Err(Error::Exists { path: goal.to_owned() }),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::write(goal)(error)),
    }
}

/// Checks that an output at `goal` is none of the files that it is made of, under whatever names and links.
///
/// # Errors
/// [`Error::Input`] names it.
pub(crate) fn check_apart<'p>(goal: &Path, inputs: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    let Ok(there) = fs::metadata(goal) else { return Ok(()) };
    let is_there =
        |input: &Path| fs::metadata(input).is_ok_and(|it| it.dev() == there.dev() && it.ino() == there.ino());
    match inputs.into_iter().find(|input| is_there(input)) {
        Some(_) => Err(Error::Input { path: goal.to_owned() }),
        None => Ok(()),
    }
}

/// Whether `path` still names `file`.
pub(crate) fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(named.dev() == ours.dev() && named.ino() == ours.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_others_have_put_there_is_refused_and_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "precious").unwrap();
        symlink(at("victim"), at("link")).unwrap();
        symlink(at("absent"), at("dangling")).unwrap();
        fs::hard_link(at("victim"), at("second name")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["link", "dangling", "second name", "pipe", "folder"] {
            let refused = own(&at(name), Access::Usual).unwrap_err();
            assert!(matches!(refused, Error::Foreign { .. }), "{name}: {refused:?}");
        }
        assert_eq!(fs::read(at("victim")).unwrap(), b"precious");
        assert!(!at("absent").exists());
    }

    #[test]
    fn a_file_of_another_user_is_refused_and_ones_own_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        drop(own(&path, Access::Private).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        own(&path, Access::Private).unwrap();
        // Only an administrator can give a file away.
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert!(matches!(own(&path, Access::Usual), Err(Error::Foreign { .. })));
        }
    }
}
