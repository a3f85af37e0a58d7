use std::path::PathBuf;

/// Show a whole transfer on this machine: export, copy, verify, damage, import.
///
/// Starts two registries on free ports of this machine, pushes sample artifacts to the first and transfers them to the
/// second with the same code as every other command. Removes everything at the end unless you give --keep.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift demo
  airlift demo --keep /tmp/airlift-demo     keep the files, to look at them")]
pub(crate) struct Args {
    /// Work in this folder and keep the bundles and registries in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
