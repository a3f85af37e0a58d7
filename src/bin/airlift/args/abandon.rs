use std::path::PathBuf;

/// Remove the parts that an unfinished export or copy left in a storage.
///
/// Finished bundles stay. S3 and Google keep the parts of an unfinished upload, and bill for them, until you remove them.
/// airlift finds the parts that this machine sent. Azure removes them by itself after a week and offers no way to do it
/// earlier.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift abandon s3://bucket/bundle.tar
  airlift abandon s3://bucket/2026-11")]
pub(crate) struct Args {
    /// The destination of the unfinished export or copy.
    #[arg(value_name = "DEST")]
    pub(crate) place: PathBuf,
}
