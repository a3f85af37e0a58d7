use std::path::PathBuf;

/// List the artifacts of a bundle without reading its layers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift inspect bundle.tar
  airlift inspect bundle.tar --tree
  airlift inspect update.tar --html review.html --against last.head
  airlift inspect bundle.tar --json | jq -r '.artifacts[].reference'")]
pub(crate) struct Args {
    /// A bundle, an OCI layout or an oci-archive: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Show each artifact with its manifests, layers and attached artifacts.
    #[arg(long, conflicts_with = "sums")]
    pub(crate) tree: bool,
    /// Show the digest, size and offset of every blob.
    #[arg(long)]
    pub(crate) sums: bool,
    /// Write a page for a second pair of eyes to this file: names, sizes, signatures and changes, without scripts, to print on A4.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show on that page what changed since this head, receipt, bundle, layout or store.
    #[arg(long, value_name = "HEAD|RECEIPT|BUNDLE", requires = "html")]
    pub(crate) against: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
}
