use std::path::PathBuf;

/// Re-hash every byte of bundles and report every finding.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift verify bundle.tar
  airlift verify /mnt/usb/*.tar --json")]
pub(crate) struct Args {
    /// Bundles, OCI layouts or oci-archives: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE", required = true)]
    pub(crate) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
}
