use std::path::PathBuf;

/// Rebuild damaged or missing files from recovery data.
///
/// airlift reads every file, reports the damage, rebuilds damaged files under other names and verifies them. Only then does
/// it replace a damaged file. If there is more damage than the recovery data can rebuild, it changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift repair bundle.tar
  airlift repair /mnt/disc --output ./repaired
  airlift repair first-try/ second-try/ --output ./repaired")]
pub(crate) struct Args {
    /// The bundle, a file of the set, or its folder. Give several folders if the files are in several.
    #[arg(value_name = "SET", required = true)]
    pub(crate) set: Vec<PathBuf>,
    /// Write rebuilt files into this folder and change nothing else. Needed for read-only discs.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
