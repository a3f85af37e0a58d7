use std::path::PathBuf;

use airlift::recovery::Percent;

/// Add recovery data to an existing bundle.
///
/// If you name several files of one folder, they share their recovery data: `airlift repair` can rebuild a lost file from
/// the others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift protect bundle.tar
  airlift protect --recovery 20% monday.tar tuesday.tar")]
pub(crate) struct Args {
    /// Files to protect, all in one folder: bundles or any other files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How much of the files `airlift repair` can rebuild.
    #[arg(long, value_name = "PERCENT", default_value = "10%")]
    pub(crate) recovery: Percent,
    /// Replace existing recovery data.
    #[arg(long)]
    pub(crate) overwrite: bool,
}
