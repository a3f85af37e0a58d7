use std::path::PathBuf;

/// Look after the folder of `serve --store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    Gc(Gc),
}

/// Delete blobs that no manifest names, and abandoned uploads. The store must not be served meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift store gc /var/lib/airlift --dry-run
  airlift store gc /var/lib/airlift")]
pub(crate) struct Gc {
    /// The store.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Keep unfinished uploads that are younger than so many hours.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) keep_uploads: u32,
    /// Only say what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
