//! A small file system that can be full.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use super::{peers, process::Ran};

/// A tmpfs of a given size, mounted by root, and gone with its owner.
pub(crate) struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    /// Mounts one of `bytes`; `None`, told loudly, where that is not allowed (it needs root).
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let folder = TempDir::with_prefix("airlift-tmpfs-").unwrap();
        let options = format!("size={bytes},mode=0755");
        let mut mount = Command::new(peers::path("mount"));
        let ran = Ran::of(mount.args(["-t", "tmpfs", "-o", &options, "airlift"]).arg(folder.path()));
        if ran.code == Some(0) {
            return Some(Self { folder });
        }
        assert!(!peers::in_ci(), "in CI nothing is skipped: {ran}");
        peers::skipped("a small file system", &ran.stderr);
        None
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a child that is just ending may still have a file open.
        Ran::of(Command::new(peers::path("umount")).arg("--lazy").arg(self.folder.path()));
    }
}
