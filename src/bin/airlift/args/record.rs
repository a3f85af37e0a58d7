use std::path::PathBuf;

use airlift::oci::Digest;

/// Show the transfer record, or check that it was not changed.
///
/// Each line of the record is one leg of a transfer and has the hash of the line before. `import --trust` and
/// `--record FILE` write it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Print the legs, and the digest of the last line.
    #[command(after_help = "\
Examples:
  airlift record show
  airlift record show /var/log/airlift/record.jsonl --json")]
    Show(File),
    /// Check every line against the one before.
    #[command(after_help = "\
Examples:
  airlift record verify
  airlift record verify /var/log/airlift/record.jsonl --head sha256:...")]
    Verify {
        #[command(flatten)]
        file: File,
        /// The digest of the last line, as `record show` printed it. Finds a record that was cut.
        #[arg(long, value_name = "DIGEST")]
        head: Option<Digest>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct File {
    /// The record [default: record.jsonl in the state folder]
    #[arg(value_name = "FILE", env = "AIRLIFT_RECORD", hide_env_values = true)]
    pub(crate) path: Option<PathBuf>,
}
