//! Options of the commands that hold artifacts out to other programs.

use std::time::Duration;

use airlift::check::{CheckCommand, CheckSettings};
use clap::value_parser;
use jiff::SignedDuration;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Checks")]
pub(crate) struct Checks {
    /// Run this command for each artifact first; repeatable. If it fails, the artifact is refused.
    ///
    /// airlift serves the bundle on 127.0.0.1, and the command gets the address of an artifact there: {ref}, {repository} and
    /// {digest}; {name} is its name in the bundle. The shell runs the command, without airlift's secrets in its environment.
    #[arg(id = "check_with", long = "check-with", value_name = "COMMAND")]
    with: Vec<CheckCommand>,
    /// Check this many artifacts in parallel.
    #[arg(id = "check_jobs", long = "check-jobs", value_name = "N", default_value_t = 2)]
    #[arg(value_parser = value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// How long a command may take for one artifact, such as 30s or 10m.
    #[arg(id = "check_timeout", long = "check-timeout", value_name = "TIME", default_value = "5m", value_parser = time)]
    timeout: Duration,
}

impl Checks {
    /// What to run, if anything.
    pub(crate) fn settings(&self) -> Option<CheckSettings> {
        let (commands, jobs, patience) = (self.with.clone(), self.jobs.into(), self.timeout);
        (!commands.is_empty()).then_some(CheckSettings { commands, jobs, patience })
    }
}

/// Reads `30s` or `5m`.
fn time(text: &str) -> Result<Duration, String> {
    let read: SignedDuration = text.parse().map_err(|_| "write it as 30s, 5m or 1m30s".to_owned())?;
    let time = Duration::try_from(read).unwrap_or_default();
    if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) }
}
