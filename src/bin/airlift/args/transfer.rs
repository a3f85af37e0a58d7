//! Options that export and import share.

use std::path::PathBuf;

use clap::value_parser;

/// The most parallel transfers: more of them only queue at the registry.
const MAX_JOBS: i64 = 64;

/// Parallel transfers by default.
const JOBS: u16 = 6;

/// Parallel uploads by default. The registry hashes each of them, and on a machine of few cores more of them only wait for
/// each other: docs/performance.md.
const UPLOADS: u16 = 4;

/// Small blobs and requests in parallel, where the registry answers more of them in the same time.
const SMALL: u16 = 64;

#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Jobs {
    /// Run at most this many transfers, requests to a registry, or hashing threads in parallel [default: 6 transfers, `import`: 4; small
    /// blobs and requests as many as the registry answers faster, up to 64]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=MAX_JOBS))]
    jobs: Option<u16>,
}

impl Jobs {
    pub(crate) fn count(self) -> usize {
        self.jobs.unwrap_or(JOBS).into()
    }

    /// The bound for small blobs and for requests.
    pub(crate) fn small(self) -> usize {
        self.jobs.unwrap_or(SMALL).into()
    }

    pub(crate) fn uploads(self) -> usize {
        self.jobs.unwrap_or(UPLOADS).into()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Transfer {
    /// Continue with the other artifacts if one fails, then exit with code 3. The report names the failed ones.
    #[arg(long)]
    pub(crate) continue_on_errors: bool,
    /// Print what would be transferred, and transfer nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the result of each artifact to this file, as JSON.
    ///
    /// If artifacts failed, airlift also writes FILE.retry.txt, a list for `-f` of the same command.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
}
