//! `podman` with storage of its own (vfs, no kernel help needed); pulls, loads and pushes, never runs a container.

use std::{ffi::OsStr, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{peers, process::Ran};

/// A private storage for podman.
pub(crate) struct Podman {
    folder: TempDir,
}

impl Podman {
    /// Prepares the storage.
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("airlift-podman-").unwrap();
        // Podman insists that the file it is pointed to exists.
        std::fs::write(folder.path().join("auth.json"), "{}").unwrap();
        Self { folder }
    }

    /// `podman ARGS`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        self.run_with(&[], args)
    }

    /// The same with more variables in its environment.
    pub(crate) fn run_with<A: AsRef<OsStr>>(
        &self,
        variables: &[(&str, &str)],
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        let folder = self.folder.path();
        let mut command = Command::new(peers::path("podman"));
        command.envs(variables.iter().copied());
        command.env("HOME", folder).env("XDG_RUNTIME_DIR", folder).env("TMPDIR", folder);
        command.env("REGISTRY_AUTH_FILE", folder.join("auth.json"));
        command.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
        command.arg("--tmpdir").arg(folder.join("tmp")).args(["--storage-driver", "vfs", "--events-backend", "none"]);
        Ran::of(command.args(args))
    }

    /// A configuration by which any other podman uses this storage.
    pub(crate) fn storage_conf(&self) -> PathBuf {
        let path = self.folder.path().join("storage.conf");
        let folder = self.folder.path().display();
        let text = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{folder}/root\"\nrunroot = \"{folder}/run\"\n");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Pulls from a registry on loopback and returns the image id.
    #[track_caller]
    pub(crate) fn pull(&self, reference: &str) -> String {
        self.run(["pull", "--quiet", "--tls-verify=false", reference]).success().stdout.trim().to_owned()
    }
}
