use std::path::PathBuf;

use super::pipeline::Common;

/// Create or replace pipelines from files, then run the pipeline runs in them.
///
/// airlift checks every file before it stores anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift apply -f pipelines.yaml
  airlift apply -f up.json -f down.json --state /var/lib/airlift")]
pub(crate) struct Args {
    /// Read resources from this JSON or YAML file, one or many; '-' reads stdin.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) common: Common,
}
