//! `oras`, which pushes and pulls files.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{peers, process::Ran};

/// A private home for oras.
pub(crate) struct Oras(TempDir);

impl Oras {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("airlift-oras-").unwrap())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(peers::path("oras"));
        command.env_clear().env("HOME", self.0.path()).env("TMPDIR", self.0.path());
        command
    }

    /// Pulls an artifact from a registry on loopback into a folder.
    pub(crate) fn pull(&self, reference: &str, folder: &Path) -> Ran {
        let mut command = self.command();
        command.args(["pull", "--plain-http", "--no-tty", reference, "--output"]).arg(folder);
        Ran::of(&mut command)
    }

    /// Pushes files and folders, named as they are in `folder`.
    pub(crate) fn push(&self, reference: &str, folder: &Path, files: &[&str]) -> Ran {
        fs::create_dir_all(folder).unwrap();
        let mut command = self.command();
        command.current_dir(folder).args(["push", "--plain-http", "--no-tty", reference]).args(files);
        Ran::of(&mut command)
    }
}
