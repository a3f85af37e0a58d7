use std::path::PathBuf;

/// The whole journey on this machine: export, copy, verify, damage, import.
///
/// Starts two registries of its own on free ports of this machine, puts sample artifacts into the first and carries them
/// to the second, by the same code as every other command. Nothing is left behind unless --keep is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift demo
  airlift demo --keep /tmp/airlift-demo     then look at what is in there")]
pub(crate) struct Args {
    /// Work in this folder, and leave the bundles and registries in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
