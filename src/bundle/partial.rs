//! The file that a bundle grows in: `<name>.partial`, held by one run, made room for, published under its final name.

use std::{
    ffi::OsString,
    fs::{self, File, FileType, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use super::{Error, Result, disk};

/// Bytes of a block in which a file's allocation is told (POSIX leaves it open; Linux says 512 for every file system).
const ALLOCATION_UNIT: u64 = 512;

/// Opens the file itself or nothing, never what a link points to.
pub(crate) const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// An output under way. Dropping it keeps the file, for a later run to go on with.
#[derive(Debug)]
pub(crate) struct PartialFile {
    file: File,
    path: PathBuf,
    goal: PathBuf,
    overwrite: bool,
    fresh: bool,
}

/// `path` with more behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl PartialFile {
    /// Opens or creates the partial file of `goal` and locks it.
    ///
    /// # Errors
    /// `goal` is there and `overwrite` was not asked for, or another run holds the partial file; nothing was touched.
    pub(crate) fn open(goal: &Path, overwrite: bool) -> Result<Self> {
        check_goal(goal, overwrite)?;
        let path = with_suffix(goal, ".partial");
        loop {
            let fresh = !path.exists();
            let mut options = OpenOptions::new();
            // In a folder that others may write to, a link could lead us to a file that is not ours.
            options.custom_flags(NO_LINK);
            let file = options.read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(Error::write(&path))?;
            if !file.metadata().map_err(Error::write(&path))?.is_file() {
                return Err(Error::write(&path)(io::ErrorKind::AlreadyExists.into()));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(Error::write(&path)(error)),
            }
            // The run that held it may have published it between our opening and locking; then it is no longer ours.
            if is_same(&file, &path).map_err(Error::read(&path))? {
                check_goal(goal, overwrite)?;
                return Ok(Self { file, path, goal: goal.to_owned(), overwrite, fresh });
            }
        }
    }

    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this run created it.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Where its journal is.
    pub(crate) fn journal(&self) -> PathBuf {
        with_suffix(&self.path, ".journal")
    }

    /// Where it will be in the end.
    pub(crate) fn goal(&self) -> &Path {
        &self.goal
    }

    /// Bytes that it occupies on the disk.
    pub(crate) fn occupied(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(Error::read(&self.path))?.blocks() * ALLOCATION_UNIT)
    }

    /// Removes it, if this run has created it: nothing is in it yet.
    pub(crate) fn remove_fresh(&self) -> io::Result<()> {
        if self.fresh { fs::remove_file(&self.path) } else { Ok(()) }
    }

    /// Checks that a file of `total` bytes can be there, and that they fit, counting what the file occupies already.
    /// Where they do not, a file that this run has created goes again.
    pub(crate) fn check_space(&self, total: u64) -> Result<()> {
        self.compare_space(total).inspect_err(|_| {
            // What stays behind is empty; the error that is reported matters more.
            let _ = self.remove_fresh();
        })
    }

    fn compare_space(&self, total: u64) -> Result<()> {
        self.check_limit(total)?;
        let needed = total.saturating_sub(self.occupied()?);
        let free = disk::free(disk::folder_of(&self.path)).map_err(Error::read(&self.path))?;
        if needed > free {
            return Err(Error::Space { path: self.goal.clone(), needed, free });
        }
        Ok(())
    }

    /// Checks that a file of `total` bytes can be there, however empty the disk is.
    pub(crate) fn check_limit(&self, total: u64) -> Result<()> {
        let limit = disk::largest_file(disk::folder_of(&self.path)).map_err(Error::read(&self.path))?;
        match limit.filter(|&limit| total > limit) {
            Some(limit) => Err(Error::FileLimit { path: self.goal.clone(), needed: total, limit }),
            None => Ok(()),
        }
    }

    /// Reserves `total` bytes.
    pub(crate) fn reserve(&self, total: u64) -> Result<()> {
        self.check_space(total)?;
        disk::reserve(&self.file, total).map_err(Error::write(&self.path))
    }

    /// Cuts the file to `total` bytes and makes it durable.
    pub(crate) fn seal(&self, total: u64) -> Result<()> {
        self.file.set_len(total).and_then(|()| self.file.sync_all()).map_err(Error::write(&self.path))
    }

    /// Cuts the file to `total` bytes, makes it durable and gives it its final name.
    pub(crate) fn publish(self, total: u64) -> Result<PathBuf> {
        self.seal(total)?;
        check_goal(&self.goal, self.overwrite)?;
        self.rename().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: self.goal.clone() },
            _ => Error::write(&self.goal)(error),
        })?;
        disk::sync_folder(disk::folder_of(&self.goal)).map_err(Error::write(&self.goal))?;
        Ok(self.goal)
    }

    fn rename(&self) -> io::Result<()> {
        if !self.overwrite {
            match rustix::fs::renameat_with(CWD, &self.path, CWD, &self.goal, RenameFlags::NOREPLACE) {
                // Some file systems know no such flag; it was checked just now that nothing is there.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                outcome => return Ok(outcome?),
            }
        }
        fs::rename(&self.path, &self.goal)
    }
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
/// the place of `/dev/sdb`, which nobody means who asks for a bundle on that disk.
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

/// Whether `path` still names `file`.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(named.dev() == ours.dev() && named.ino() == ours.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
