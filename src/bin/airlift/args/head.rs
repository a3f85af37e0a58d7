use std::path::PathBuf;

/// Write the head of a bundle: its manifests, without configs and layers.
///
/// A head is small. It is enough for `export --base` and `diff`, so you can delete the bundle and keep its head.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift head bundle.tar -o bundle.head
  airlift export -f artifacts.txt -o update.tar --base bundle.head")]
pub(crate) struct Args {
    /// A bundle, a set of volumes or an OCI layout: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Where to write the head. A file that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}
