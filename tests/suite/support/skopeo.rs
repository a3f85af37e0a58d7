//! `skopeo` with a home of its own: it sees no credentials and no policy of the person who runs the tests.

use std::{ffi::OsStr, path::Path, process::Command};

use tempfile::TempDir;

use super::{peers, process::Ran};

/// A private home for skopeo; every call is a new process.
pub(crate) struct Skopeo {
    home: TempDir,
}

impl Skopeo {
    /// Prepares the home.
    pub(crate) fn new() -> Self {
        Self { home: TempDir::with_prefix("airlift-skopeo-").unwrap() }
    }

    /// `skopeo ARGS`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// The same, not yet started.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(peers::path("skopeo"));
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.home.path());
        command.env("TMPDIR", self.home.path()).env("REGISTRY_AUTH_FILE", self.home.path().join("auth.json"));
        command.args(["--insecure-policy", "--tmpdir"]).arg(self.home.path()).args(args);
        command
    }

    /// Copies everything of `source` to `target` (`docker://…`, `oci:…`, `oci-archive:…`), loopback over plain HTTP.
    #[track_caller]
    pub(crate) fn copy(&self, source: &str, target: &str) -> Ran {
        let fixed = ["copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
        self.run(fixed.into_iter().chain([source, target])).success()
    }

    /// The digest that skopeo sees under a reference (of the image for this machine's platform, if there are several).
    pub(crate) fn digest(&self, image: &str) -> String {
        let ran = self.run(["inspect", "--tls-verify=false", "--format", "{{.Digest}}", image]).success();
        ran.stdout.trim().to_owned()
    }

    /// Where temporary files may lie.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}
