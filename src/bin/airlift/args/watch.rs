use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;

use super::Jobs;

/// Import bundles as they land: run the enabled import pipelines until stopped.
///
/// A bundle that appears in the source of a pipeline, or changes there, is imported once; in a local folder at once, in a
/// storage at the next look. What fails is tried again, at longer and longer intervals. Pipelines that are made, changed or
/// deleted meanwhile count within two seconds.
///
/// The first SIGTERM or Ctrl-C ends the watch: no run begins any more, those under way get --grace to end, and what is left is
/// parked, to be gone on with by the next watch. The second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift watch
  airlift watch --interval 1m --state /var/lib/airlift
  airlift watch --json | jq 'select(.event == \"ended\")'")]
pub(crate) struct Args {
    /// How often a storage is looked at, such as 15s or 1m.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    pub(crate) interval: Duration,
    /// Runs at once, of all pipelines together; two of each at the most.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) runs: u16,
    /// How long runs under way may go on after the first signal.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub(crate) grace: Duration,
    #[arg(long, value_name = "DIR")]
    #[arg(help = "The folder in which pipelines and runs are kept [default: $XDG_STATE_HOME/airlift]")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
}

/// Reads `15s`, `1m 30s` or `0s`.
fn time(text: &str) -> Result<Duration, String> {
    let read: SignedDuration = text.parse().map_err(|_| "write it as 15s, 1m or 1m30s".to_owned())?;
    Duration::try_from(read).map_err(|_| "it must not be negative".to_owned())
}
