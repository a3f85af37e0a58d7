use std::path::PathBuf;

/// Rebuild damaged or missing files from recovery data.
///
/// Reads everything, says what is damaged, rebuilds it into new files and proves them; only then a damaged file is
/// replaced. If more is damaged than the recovery data can rebuild, nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift repair bundle.tar
  airlift repair /mnt/disc --output ./repaired
  airlift repair first-try/ second-try/ --output ./repaired")]
pub(crate) struct Args {
    /// The bundle, a file of the set, or its folder; several, where the files lie in several folders.
    #[arg(value_name = "SET", required = true)]
    pub(crate) set: Vec<PathBuf>,
    /// Write what is rebuilt into this folder, and leave everything else as it is: for discs.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
