//! A private daemon of docker, with storage of its own (vfs) and no network for containers. It pulls images and never runs one. Needs root.

use std::{ffi::OsStr, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{
    peers,
    process::{Process, Ran},
};

/// A running daemon; it ends when it goes out of scope.
pub(crate) struct Docker {
    folder: TempDir,
    process: Process,
}

impl Docker {
    /// Starts it; it answers when this returns.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("airlift-docker-").unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut command = Command::new(peers::path("dockerd"));
        command.env("HOME", folder.path());
        command
            .arg("--data-root")
            .arg(path("root"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"));
        command.arg("--host").arg(format!("unix://{}", path("socket").display()));
        command.args(["--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        let process = Process::spawn("dockerd", &mut command);
        process.wait_for_line("API listen on");
        Self { folder, process }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// `docker ARGS`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = Command::new(peers::path("docker"));
        command.env("HOME", self.folder.path()).arg("--host").arg(format!("unix://{}", self.socket().display()));
        Ran::of(command.args(args))
    }
}
