//! The lock on a bundle of a pipeline. The operating system releases it when the process ends, however it ends, so no
//! process id has to be trusted.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    error::{Error, Result},
    resource::ResourceId,
};
use crate::{
    files::{
        lock::{self, Locked},
        open,
    },
    oci::Digest,
};

/// Tries to get a lock that a reader may hold for the blink of an eye, to see whether it is free.
const TRIES: u32 = 20;

/// The wait between two of them.
const WAIT: Duration = Duration::from_millis(10);

/// The lock on a bundle of a pipeline; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// The file that stands for a bundle of a pipeline. It stays: to remove it would let two processes hold two files of one name.
fn path(folder: &Path, pipeline: &ResourceId, blob: &str) -> PathBuf {
    let digest = Digest::sha256(format!("{pipeline}\n{blob}").as_bytes());
    folder.join(format!("{}.lock", &digest.hex()[..32]))
}

impl Lock {
    /// Takes the lock; `None` if another holds it.
    pub(super) fn take(folder: &Path, pipeline: &ResourceId, blob: &str) -> Result<Option<Self>> {
        let path = path(folder, pipeline, blob);
        let error = |source| Error::Folder { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let file = open::own(&path, open::Access::Private)?;
        for _ in 0..TRIES {
            match lock::exclusive(&file, &path).map_err(error)? {
                Locked::Ours => return Ok(Some(Self { _file: file })),
                Locked::Theirs => thread::sleep(WAIT),
            }
        }
        Ok(None)
    }

    /// Whether a process holds the lock.
    pub(super) fn is_held(folder: &Path, pipeline: &ResourceId, blob: &str) -> Result<bool> {
        let path = path(folder, pipeline, blob);
        let error = |source| Error::Folder { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(error(source)),
        };
        Ok(lock::shared(&file, &path).map_err(error)? == Locked::Theirs)
    }
}

/// The name of this machine, for people.
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this machine".to_owned() } else { name.to_owned() }
}

/// The account and the machine, as the transfer record names who did something.
pub fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    format!("{}@{}", user.unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw())), host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::resource::Kind;

    #[test]
    fn a_lock_is_seen_while_it_is_held_and_gone_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let id = ResourceId { kind: Kind::ExportPipeline, registry: "r.site".into(), name: "up".into() };
        assert!(!Lock::is_held(folder.path(), &id, "b").unwrap());
        let lock = Lock::take(folder.path(), &id, "b").unwrap().unwrap();
        assert!(Lock::is_held(folder.path(), &id, "b").unwrap());
        assert!(Lock::take(folder.path(), &id, "b").unwrap().is_none());
        assert!(Lock::take(folder.path(), &id, "other").unwrap().is_some());
        drop(lock);
        // A process that another test is about to start shares our open files until it runs: a taker looks again.
        assert!(Lock::take(folder.path(), &id, "b").unwrap().is_some());
    }
}
