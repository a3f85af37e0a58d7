use airlift::transfer::destination::RegistryPrefix;
use clap::ArgGroup;

use super::{Chosen, Renamed, Transfer};

/// Copy artifacts from registry to registry, without a file between them.
///
/// airlift verifies each blob on its way, and pushes the tag last: an incomplete artifact never has a tag. It does not send
/// what the target already has. If the command is interrupted, run it again to resume it.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("chosen").required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  airlift mirror docker.io/library/alpine:3 --to registry.site:5000
  airlift mirror -f artifacts.txt --registry registry.example.com --to registry.site/mirror --keep-host
  airlift mirror -f artifacts.txt --to registry.site --platform linux/amd64 --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// The registry to push to, and a prefix for its repositories.
    #[arg(long, value_name = "REGISTRY[/PREFIX]")]
    pub(crate) to: RegistryPrefix,
    #[command(flatten)]
    pub(crate) renamed: Renamed,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}
