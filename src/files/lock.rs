//! Locks on files. The operating system releases a lock when its process ends, however it ends.

use std::{fs::File, io, path::Path};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::error::{Error, Result};

/// Whether this process got a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// It holds it now, or the file system has no locks.
    Ours,
    /// Another process holds it.
    Theirs,
}

/// Takes the lock on `file` for this process alone, unless another process holds it.
pub(crate) fn exclusive(file: &File, path: &Path) -> io::Result<Locked> {
    judge(flock(file, FlockOperation::NonBlockingLockExclusive), path)
}

/// Takes the lock on `file` together with others who do so, unless a process holds it alone.
pub(crate) fn shared(file: &File, path: &Path) -> io::Result<Locked> {
    judge(flock(file, FlockOperation::NonBlockingLockShared), path)
}

/// Takes the lock on `file`, and waits until it is free.
pub(crate) fn wait(file: &File, path: &Path) -> io::Result<()> {
    judge(flock(file, FlockOperation::LockExclusive), path).map(drop)
}

/// Takes the lock on `file` for this process alone.
///
/// # Errors
/// [`Error::Busy`] where another process holds it.
pub(crate) fn hold(file: &File, path: &Path) -> Result<()> {
    match exclusive(file, path).map_err(Error::write(path))? {
        Locked::Ours => Ok(()),
        Locked::Theirs => Err(Error::Busy { path: path.to_owned() }),
    }
}

/// Some network file systems have no locks. There, two runs are kept apart by the person only, which is a warning: what they
/// write is verified before it gets its name.
fn judge(outcome: rustix::io::Result<()>, path: &Path) -> io::Result<Locked> {
    match outcome {
        Ok(()) => Ok(Locked::Ours),
        Err(Errno::WOULDBLOCK) => Ok(Locked::Theirs),
        Err(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS) => {
            tracing::warn!(path = %path.display(), "the file system has no locks: do not start a second run on this file");
            Ok(Locked::Ours)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_no_error_and_a_held_lock_is_seen() {
        let judge = |errno| judge(Err(errno), Path::new("x"));
        for none in [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert_eq!(judge(none).unwrap(), Locked::Ours, "{none}");
        }
        assert!(judge(Errno::BADF).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        hold(file.as_file(), file.path()).unwrap();
        assert!(matches!(hold(&file.reopen().unwrap(), file.path()), Err(Error::Busy { .. })));
    }
}
