use std::path::PathBuf;

use super::pipeline::Common;

/// Put pipelines from files, then do the runs in them.
///
/// All of it is checked before anything is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift apply -f pipelines.yaml
  airlift apply -f up.json -f down.json --state /var/lib/airlift")]
pub(crate) struct Args {
    /// JSON or YAML, one resource or many; '-' is stdin.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) common: Common,
}
