//! Options of the commands that do a share of the work.

use std::{collections::BTreeMap, str::FromStr};

use airlift::transfer::shards::{ParseShardError, Shard};

/// Which share of the work a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardChoice {
    /// This one.
    Given(Shard),
    /// The one that the scheduler says.
    Scheduled,
}

impl FromStr for ShardChoice {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        if text == "auto" { Ok(Self::Scheduled) } else { text.parse().map(Self::Given) }
    }
}

const SHARD_HELP: &str = "\
Do only this share of the work: I/N, where I counts from 0, or `auto` in a task of a scheduler.

`auto` reads JOB_COMPLETION_INDEX (Kubernetes, which needs --shards too), AWS_BATCH_JOB_ARRAY_INDEX and _SIZE, \
SLURM_ARRAY_TASK_ID and _COUNT, or CLOUD_RUN_TASK_INDEX and _COUNT.";

#[derive(Debug, clap::Args)]
pub(crate) struct Sharded {
    /// Do only this share of the work: I/N, where I counts from 0, or `auto` in a task of a scheduler.
    #[arg(long, value_name = "I/N|auto", long_help = SHARD_HELP)]
    pub(crate) shard: Option<ShardChoice>,
    /// How many shards there are, for `--shard auto`.
    #[arg(long, value_name = "N", env = "AIRLIFT_SHARDS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) shards: Option<u32>,
}

impl Sharded {
    /// The shard of this run; `None` where none was asked for.
    pub(crate) fn shard(&self) -> Result<Option<Shard>, ParseShardError> {
        match self.shard {
            None => Ok(None),
            Some(ShardChoice::Given(shard)) => Ok(Some(shard)),
            Some(ShardChoice::Scheduled) => {
                let texts = std::env::vars_os();
                let texts =
                    texts.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
                Shard::scheduled(&texts.collect::<BTreeMap<_, _>>(), self.shards).map(Some)
            }
        }
    }
}
