use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;

use super::{Jobs, RecordTo};

/// Import new bundles automatically: run the enabled import pipelines until stopped.
///
/// airlift imports each bundle that appears or changes in the storage of a pipeline once. It notices a file in a local
/// folder immediately, and an object in a storage within --interval. It retries a failed import at growing intervals, and
/// picks up new, changed and deleted pipelines within two seconds.
///
/// On the first SIGTERM or Ctrl-C, airlift starts no new run, waits up to --grace for the current runs, and interrupts the
/// rest; the next `airlift watch` resumes them. A second signal stops it immediately.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift watch
  airlift watch --interval 1m --state /var/lib/airlift
  airlift watch --trust /etc/airlift/trust.toml
  airlift watch --json | jq 'select(.event == \"ended\")'")]
pub(crate) struct Args {
    /// How often to list a storage, such as 15s or 1m.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    pub(crate) interval: Duration,
    /// Run this many imports in parallel, at most two of each pipeline.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) runs: u16,
    /// How long to wait for current runs after the first signal.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub(crate) grace: Duration,
    #[arg(long, value_name = "DIR")]
    #[arg(help = "The folder that holds pipelines and runs [default: $XDG_STATE_HOME/airlift]")]
    pub(crate) state: Option<PathBuf>,
    /// Import only bundles that enough signers of this file vouch for. A pipeline's own `trust` comes first.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) record: RecordTo,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
}

/// Reads `15s`, `1m 30s` or `0s`.
fn time(text: &str) -> Result<Duration, String> {
    let read: SignedDuration = text.parse().map_err(|_| "write it as 15s, 1m or 1m30s".to_owned())?;
    Duration::try_from(read).map_err(|_| "it must not be negative".to_owned())
}
