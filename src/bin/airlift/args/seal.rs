use std::path::PathBuf;

use super::{Jobs, RecordTo, StatementMembers};

/// Make a set of the volumes that many machines wrote.
///
/// airlift reads every volume and compares it with the plan, then writes NAME.set.json and SHA256SUMS. Until then the volumes are
/// not a set, and no command reads them as one. If volumes are missing or damaged, airlift names them and writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift seal plan.json /mnt/share/release
  airlift seal s3://bucket/2026-11/plan.json s3://bucket/2026-11/release
  airlift seal plan.json /mnt/share/release --sign ops.key --stream hq/site-7")]
pub(crate) struct Args {
    /// The plan that `airlift plan` wrote.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// Where the volumes are: the same DEST as with `airlift export --plan`.
    #[arg(value_name = "DEST")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    #[command(flatten)]
    pub(crate) record: RecordTo,
    /// Sign the set with this private key, as `airlift sign --key` does. DEST must be on this machine.
    #[arg(long, value_name = "KEY", help_heading = "Statement")]
    pub(crate) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) members: StatementMembers,
}
