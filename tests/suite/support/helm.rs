//! `helm`, with a home of its own.

use std::{ffi::OsStr, io::Write as _, process::Command};

use tempfile::TempDir;

use super::{peers, process::Ran};

/// A private home for helm.
pub(crate) struct Helm(TempDir);

impl Helm {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("airlift-helm-").unwrap())
    }

    /// `helm ARGS`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = Command::new(peers::path("helm"));
        command.env_clear().env("HOME", self.0.path()).env("TMPDIR", self.0.path()).env("TZ", "UTC");
        Ran::of(command.args(args))
    }
}

/// A packed chart whose files were all written at `time`, in seconds.
pub(crate) fn packed(name: &str, metadata: &str, time: u64) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in [("Chart.yaml", metadata), ("values.yaml", "a: 1\n"), ("templates/x.yaml", "kind: List\n")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(time);
        archive.append_data(&mut header, format!("{name}/{path}"), text.as_bytes()).unwrap();
    }
    let mut gzip = archive.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}
