use std::path::PathBuf;

use airlift::{
    oci::Platform,
    transfer::{choice::NamePattern, destination::RegistryPrefix},
};

use super::{Checks, Renamed, Sharded, Transfer, TrustArgs};

/// Verify bundles and push their artifacts to a registry or into a store.
///
/// airlift pushes the blobs first, then the manifests, and the tag last: an incomplete artifact never has a tag. It does not
/// send what the registry already has. If an import is interrupted, run the same command again to resume it.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a switch on the command line is a bool")]
#[command(after_help = "\
Examples:
  airlift import bundle.tar --to registry.site:5000
  airlift import bundle.tar --to registry.site/mirror --keep-host --report report.json
  airlift import bundle.tar --to registry.site --map docker.io/library=base --dry-run
  airlift import s3://bucket/release --to registry.site --shard 3/8
  airlift import bundle.tar --store /var/lib/airlift
  airlift import bundle.tar --to registry.site -f report.json.retry.txt --report report.json
  airlift import bundle.tar --to registry.site --only 'docker.io/library/*' --platform linux/amd64
  airlift import update.tar --to registry.site/mirror --receipt receipt.json
  airlift import /media/cdrom --to registry.site --volume-prompt
  airlift import update.tar --to registry.site --trust trust.toml
  airlift import update.tar --to registry.site --check-with 'cosign verify --key cosign.pub --insecure-ignore-tlog {ref}'")]
pub(crate) struct Args {
    /// Bundles, OCI layouts or oci-archives: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE", required = true)]
    pub(crate) bundles: Vec<PathBuf>,
    /// The registry to push to, and a prefix for its repositories.
    #[arg(long, value_name = "REGISTRY[/PREFIX]", required_unless_present = "store")]
    pub(crate) to: Option<RegistryPrefix>,
    /// Import into this folder, which `airlift serve --store` serves, instead of a registry.
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    #[command(flatten)]
    pub(crate) sharded: Sharded,
    #[command(flatten)]
    pub(crate) taken: Taken,
    #[command(flatten)]
    pub(crate) renamed: Renamed,
    /// Import a set disc by disc: ask for the next disc until every volume was read.
    #[arg(long, conflicts_with_all = ["delete_source", "dry_run", "file", "only", "platform", "no_referrers", "trust", "check_with"])]
    pub(crate) volume_prompt: bool,
    /// Where to keep parts of layers that continue on another disc [default: in the state folder]
    #[arg(long, value_name = "DIR", requires = "volume_prompt")]
    pub(crate) spool: Option<PathBuf>,
    /// Remove the bundles after the registry confirmed every artifact.
    #[arg(long, conflicts_with_all = ["file", "only", "platform", "no_referrers"])]
    pub(crate) delete_source: bool,
    /// Verify the whole bundle before the first push. Without this, each blob is verified while it is pushed.
    #[arg(long)]
    pub(crate) verify_first: bool,
    /// Make non-distributable layers distributable and drop their URLs. This changes the digests of those images.
    #[arg(long)]
    pub(crate) rewrite_foreign: bool,
    /// Ask the target at the end for everything that it should have, and write what it confirms to this file.
    ///
    /// Take the receipt back to the sender: `airlift export --base FILE` then leaves out what the target has.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) checks: Checks,
}

/// What an import takes of its bundles.
#[derive(Debug, clap::Args)]
pub(crate) struct Taken {
    /// Import only the artifacts in this file; '-' reads stdin; repeatable.
    ///
    /// Write the names as `airlift inspect` shows them, in a form that `export -f` takes. The FILE.retry.txt of a report is
    /// such a list.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Import only the artifacts whose names match, such as 'docker.io/library/*' or 'team/app:v1'; repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) only: Vec<NamePattern>,
    /// Import only this platform; repeatable. Indexes keep their digests [default: all platforms]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<Platform>,
    /// Leave out signatures, SBOMs and attestations.
    #[arg(long)]
    pub(crate) no_referrers: bool,
}
