use std::path::PathBuf;

use airlift::transfer::target::{Rule, Target};

/// Verify bundles and push what is in them into a registry.
///
/// Blobs go first, then manifests from the leaves up, and the tag last: an artifact that is not complete has no tag. What the
/// registry has is not sent again, so a run that was stopped goes on with the same command.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a switch on the command line is a bool")]
#[command(after_help = "\
Examples:
  airlift import bundle.tar --to registry.site:5000
  airlift import bundle.tar --to registry.site/mirror --keep-host --report report.json
  airlift import bundle.tar --to registry.site --map docker.io/library=base --dry-run
  airlift import /media/cdrom --to registry.site --volume-prompt")]
pub(crate) struct Args {
    /// Bundles, OCI layouts or oci-archives; a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "BUNDLE", required = true)]
    pub(crate) bundles: Vec<PathBuf>,
    /// The registry, and the prefix below which repositories go.
    #[arg(long, value_name = "REGISTRY[/PREFIX]")]
    pub(crate) to: Target,
    /// Keep the source's host as the first part of the repository: docker.io/library/x becomes PREFIX/docker.io/library/x.
    #[arg(long)]
    pub(crate) keep_host: bool,
    /// Repositories that begin with FROM begin with TO instead; may be given several times, the first that matches wins.
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    /// Take a set in volume by volume: ask for the next disc until all have been there.
    #[arg(long, conflicts_with_all = ["delete_source", "dry_run"])]
    pub(crate) volume_prompt: bool,
    /// Where segments of layers that are cut over volumes wait for the rest [default: in the state folder]
    #[arg(long, value_name = "DIR", requires = "volume_prompt")]
    pub(crate) spool: Option<PathBuf>,
    /// Move tags that point elsewhere; otherwise that artifact fails, and the tag stays.
    #[arg(long)]
    pub(crate) overwrite_tags: bool,
    /// Remove the bundles once the registry has confirmed every artifact.
    #[arg(long)]
    pub(crate) delete_source: bool,
    /// Re-hash the whole bundle before anything is pushed; otherwise each blob on its way.
    #[arg(long)]
    pub(crate) verify_first: bool,
    /// Make non-distributable layers distributable and drop their URLs. This gives those images new digests.
    #[arg(long)]
    pub(crate) rewrite_foreign: bool,
    #[command(flatten)]
    pub(crate) transfer: super::Transfer,
}
