//! The file that an output grows in: `<name>.partial`, held by one run, made room for, published under its final name.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    disk,
    error::{Error, Result},
    lock, name,
    open::{self, Access, check_goal, is_same},
    rename::{rename, sync_folder},
};

/// Times that a partial file is opened again because another run has just published it.
const TRIES: u32 = 100;

/// An output under way. Dropping it keeps the file, which a later run resumes.
#[derive(Debug)]
pub(crate) struct PartialFile {
    file: File,
    path: PathBuf,
    goal: PathBuf,
    overwrite: bool,
    fresh: bool,
}

impl PartialFile {
    /// Opens or creates the partial file of `goal` and locks it.
    ///
    /// # Errors
    /// `goal` is there and `overwrite` was not asked for, another run holds the partial file, or what is there was not left
    /// by a run of this user; nothing was touched.
    pub(crate) fn open(goal: &Path, overwrite: bool) -> Result<Self> {
        check_goal(goal, overwrite)?;
        Self::open_as(name::partial(goal), goal, overwrite)
    }

    /// The same under a name of its own for the partial file.
    pub(crate) fn open_as(path: PathBuf, goal: &Path, overwrite: bool) -> Result<Self> {
        for _ in 0..TRIES {
            let fresh = !path.exists();
            let file = open::own(&path, Access::Usual)?;
            lock::hold(&file, &path)?;
            // The run that held it may have published it between our opening and locking; then it is no longer ours.
            if is_same(&file, &path).map_err(Error::read(&path))? {
                check_goal(goal, overwrite)?;
                return Ok(Self { file, path, goal: goal.to_owned(), overwrite, fresh });
            }
        }
        Err(Error::Busy { path })
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
        name::journal(&self.path)
    }

    /// Where it will be in the end.
    pub(crate) fn goal(&self) -> &Path {
        &self.goal
    }

    /// Bytes that it occupies on the disk.
    pub(crate) fn occupied(&self) -> Result<u64> {
        disk::occupied(&self.file).map_err(Error::read(&self.path))
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
        let free = disk::free(name::folder_of(&self.path)).map_err(Error::read(&self.path))?;
        if needed > free {
            return Err(Error::Space { path: self.goal.clone(), needed, free });
        }
        Ok(())
    }

    /// Checks that a file of `total` bytes can be there, however empty the disk is.
    pub(crate) fn check_limit(&self, total: u64) -> Result<()> {
        let limit = disk::largest_file(name::folder_of(&self.path)).map_err(Error::read(&self.path))?;
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
        self.give_name(total, self.overwrite)?;
        Ok(self.goal)
    }

    /// The same where `overwrite` is decided at the end only.
    pub(crate) fn give_name(&self, total: u64, overwrite: bool) -> Result<()> {
        self.seal(total)?;
        check_goal(&self.goal, overwrite)?;
        rename(&self.path, &self.goal, overwrite).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: self.goal.clone() },
            _ => Error::write(&self.goal)(error),
        })?;
        sync_folder(name::folder_of(&self.goal)).map_err(Error::write(&self.goal))
    }
}
