use std::path::PathBuf;

/// Remove what an unfinished export or copy left.
///
/// Finished bundles stay. On this machine these are files beside the output: NAME.partial with its journal, and
/// `.NAME.airlift-…` of a copy. While a run writes to one of them, nothing is removed.
/// S3 and Google keep the parts of an unfinished upload, and bill for them, until you remove them.
/// airlift finds the parts that this machine sent. Azure removes them by itself after a week and offers no way to do it
/// earlier.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift abandon bundle.tar
  airlift abandon s3://bucket/bundle.tar
  airlift abandon s3://bucket/2026-11")]
pub(crate) struct Args {
    /// The destination of the unfinished export or copy.
    #[arg(value_name = "DEST")]
    pub(crate) place: PathBuf,
}
