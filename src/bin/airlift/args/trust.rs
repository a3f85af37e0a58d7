//! Options of the commands that admit bundles.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Accept only bundles that enough signers of this file vouch for (docs/statement-format.md shows its format).
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Accept a bundle that is older than one of its stream that was imported before. The transfer record keeps the reason.
    #[arg(long, value_name = "REASON", requires = "trust")]
    pub(crate) allow_older: Option<String>,
    #[command(flatten)]
    pub(crate) record: RecordTo,
    #[arg(long, value_name = "DIR")]
    #[arg(help = "The folder of the marks of imported sequences [default: $XDG_STATE_HOME/airlift]")]
    pub(crate) state: Option<PathBuf>,
}

/// Where a leg is recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordTo {
    /// Append to this transfer record.
    ///
    /// Without this, the record is record.jsonl in the state folder. The first run with --trust or --sign begins it; from then
    /// on export, copy, import, load and watch add to it.
    #[arg(long, value_name = "FILE", env = "AIRLIFT_RECORD", hide_env_values = true)]
    pub(crate) record: Option<PathBuf>,
}

/// What only people know about a bundle.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Statement")]
pub(crate) struct StatementMembers {
    /// The row of updates that the bundle belongs to, such as hq/site-7.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// The place of the bundle in its stream. The receiver refuses a lower one than it has imported [default: the next one]
    #[arg(long, value_name = "N", requires = "stream")]
    pub(crate) sequence: Option<u64>,
    /// After this date or time (2026-12-31, 2026-12-31T12:00:00Z) the bundle is not accepted.
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<String>,
    /// Who allowed the transfer.
    #[arg(long, value_name = "TEXT", alias = "authorized-by")]
    pub(crate) authorised_by: Option<String>,
    /// What the transfer is for.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The protective marking.
    #[arg(long, value_name = "TEXT")]
    pub(crate) marking: Option<String>,
    #[arg(long, value_name = "DIR")]
    #[arg(help = "The folder with the sequences that were sent [default: $XDG_STATE_HOME/airlift]")]
    pub(crate) state: Option<PathBuf>,
}
