//! How names change on the way into a target.

use airlift::transfer::destination::Rule;

#[derive(Debug, clap::Args)]
pub(crate) struct Renamed {
    /// Keep the source registry in the name: docker.io/library/x becomes PREFIX/docker.io/library/x.
    #[arg(long)]
    pub(crate) keep_host: bool,
    /// Rename repositories that start with FROM so that they start with TO; repeatable, the first match wins.
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    /// Move tags that point to something else. Without this, such an artifact fails and its tag stays.
    #[arg(long)]
    pub(crate) overwrite_tags: bool,
    /// Ask the target for each blob, even if the tag is right. Without this, such an artifact counts as complete.
    #[arg(long)]
    pub(crate) check_blobs: bool,
}
