use std::path::PathBuf;

/// Maintain the folder of `serve --store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: StoreCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    Gc(Gc),
}

/// Delete blobs that no manifest names, and abandoned uploads. Stop serving the store first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift store gc /var/lib/airlift --dry-run
  airlift store gc /var/lib/airlift")]
pub(crate) struct Gc {
    /// The folder of the store.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Keep unfinished uploads that are younger than HOURS hours.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) keep_uploads: u32,
    /// Print what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
