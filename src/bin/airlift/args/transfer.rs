//! What export and import have in common.

use std::path::PathBuf;

use clap::value_parser;

/// Transfers at once, at the most: more only queue at the registry.
const MAX_JOBS: i64 = 64;

/// Transfers at once where nothing else is said.
const JOBS: u16 = 6;

/// Uploads at once where nothing else is said. The registry hashes each of them, and on a machine of few cores more of them
/// only wait for each other: docs/performance.md.
const UPLOADS: u16 = 4;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Jobs {
    /// Transfers, or hashing threads, at once [default: 6; of `import` 4]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=MAX_JOBS))]
    jobs: Option<u16>,
}

impl Jobs {
    pub(crate) fn count(self) -> usize {
        self.jobs.unwrap_or(JOBS).into()
    }

    pub(crate) fn uploads(self) -> usize {
        self.jobs.unwrap_or(UPLOADS).into()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Transfer {
    /// Do what can be done; exit code 3 if an artifact failed, and the report names it.
    #[arg(long)]
    pub(crate) continue_on_errors: bool,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write what became of each artifact to this file, as JSON.
    ///
    /// Beside it, FILE.retry.txt lists the artifacts to try again; `export -f` takes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
}
