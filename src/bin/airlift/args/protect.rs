use std::path::PathBuf;

use airlift::recovery::Percent;

/// Add recovery data to a bundle that is there already.
///
/// Several files of one folder share theirs: any of them can be rebuilt from the others, as far as the recovery data goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift protect bundle.tar
  airlift protect --recovery 20% monday.tar tuesday.tar")]
pub(crate) struct Args {
    /// Files of one folder, bundles or others.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How much: this many per cent of the files may be lost.
    #[arg(long, value_name = "PERCENT", default_value = "10%")]
    pub(crate) recovery: Percent,
    /// Replace recovery data that is there.
    #[arg(long)]
    pub(crate) overwrite: bool,
}
