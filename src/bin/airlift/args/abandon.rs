use std::path::PathBuf;

/// Remove the parts that an unfinished export or copy left in a storage.
///
/// What is finished stays. S3 and Google keep parts, and bill for them, until somebody removes them; airlift knows those that this
/// machine has sent. Azure removes its own a week after the last of them was written, and lets nobody do it before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift abandon s3://bucket/bundle.tar
  airlift abandon s3://bucket/2026-11")]
pub(crate) struct Args {
    /// Where it was to go: the place that the export or the copy named.
    #[arg(value_name = "DEST")]
    pub(crate) place: PathBuf,
}
