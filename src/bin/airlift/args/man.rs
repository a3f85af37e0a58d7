use std::path::PathBuf;

/// Write the manual pages into a folder, one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  airlift man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// The folder. It is created if it does not exist.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
