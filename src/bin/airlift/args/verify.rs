use std::path::PathBuf;

/// Re-hash every byte of bundles and report every finding.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift verify bundle.tar
  airlift verify /mnt/usb/*.tar --json
  airlift verify update.tar --trust trust.toml
  airlift verify update.tar --check-with './scan {repository}@{digest}'")]
pub(crate) struct Args {
    /// Bundles, OCI layouts or oci-archives: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE", required = true)]
    pub(crate) bundles: Vec<PathBuf>,
    /// Also check who vouches for the bundles, by this trust file (docs/statement-format.md shows its format).
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) checks: super::Checks,
}
