use std::path::PathBuf;

use airlift::bundle::volume::Size;
use clap::ArgGroup;

use super::{Chosen, Transfer};

/// Resolve artifacts once, for an export by many machines.
///
/// airlift asks the registries for every manifest and writes a plan: the digest of everything, and the volumes that it goes into.
/// Each machine then writes its share of the volumes with `airlift export --plan`, and `airlift seal` makes a set of them. If the
/// plan is there already, it stays as it is, even if tags have moved since.
#[derive(Debug, clap::Args)]
#[command(override_usage = "airlift plan [OPTIONS] -o PLAN --volume-size SIZE -f FILE [ARTIFACT]...")]
#[command(group(ArgGroup::new("chosen").required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  airlift plan -f artifacts.txt -o plan.json --volume-size 4GiB
  airlift plan -f artifacts.txt -o s3://bucket/2026-11/plan.json --volume-size 4GiB --max-artifacts 10000
  airlift export --plan plan.json --shard 0/2 -o /mnt/share/release
  airlift export --plan plan.json --shard 1/2 -o /mnt/share/release
  airlift seal plan.json /mnt/share/release")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Refused, with what to do instead: the other machines may not have it.
    #[arg(long, value_name = "BUNDLE", group = "chosen", hide = true)]
    pub(crate) from: Vec<PathBuf>,
    /// Refused, with what to do instead.
    #[arg(long, value_name = "BASE", hide = true)]
    pub(crate) base: Vec<PathBuf>,
    /// Where to write the plan: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(short, long, value_name = "PLAN")]
    pub(crate) output: PathBuf,
    /// The most bytes of a volume: 4GiB, 700MB, fat32, dvd, dvd-dl, bd, bd-dl.
    #[arg(long, value_name = "SIZE")]
    pub(crate) volume_size: Size,
    /// Resolve the artifacts again and replace a plan that is there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}
