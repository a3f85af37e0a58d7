use std::path::PathBuf;

/// Write the manual pages into a folder, one a command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  airlift man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// The folder; made if it is not there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
