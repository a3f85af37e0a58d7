use std::path::PathBuf;

/// Write the bundle of a packed file, byte for byte as it was packed.
///
/// Importing does not need this: every command that reads a bundle reads a packed file too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift unpack bundle.pack -o bundle.tar
  airlift unpack june.pack --base may.tar -o june.tar")]
pub(crate) struct Args {
    /// The packed file: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The bundle to write.
    #[arg(short, long, value_name = "BUNDLE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    /// Replace an existing file. Without this, an existing file is an error and stays as it is.
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
}
