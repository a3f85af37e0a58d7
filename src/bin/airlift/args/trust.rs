//! Options of the commands that admit bundles.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct Trust {
    /// Accept only bundles that enough signers of this file vouch for (docs/statement-format.md shows its format).
    #[arg(long, value_name = "FILE")]
    #[expect(clippy::struct_field_names, reason = "the name of the option")]
    pub(crate) trust: Option<PathBuf>,
    /// Accept a bundle that is older than one of its stream that was imported before. The transfer record keeps the reason.
    #[arg(long, value_name = "REASON", requires = "trust")]
    pub(crate) allow_older: Option<String>,
    /// Append to this transfer record [default with --trust: record.jsonl in the state folder]
    #[arg(long, value_name = "FILE", env = "AIRLIFT_RECORD", hide_env_values = true)]
    pub(crate) record: Option<PathBuf>,
    /// The folder of the marks of imported sequences [default: ~/.local/state/airlift]
    #[arg(long, value_name = "DIR", requires = "trust")]
    pub(crate) state: Option<PathBuf>,
}
