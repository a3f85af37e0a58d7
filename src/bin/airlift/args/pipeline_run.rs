use std::path::PathBuf;

use airlift::oci::Digest;
use clap::ValueEnum;

use super::pipeline::{Common, Deleted, Listed, Named};

/// Run pipelines, and look at their runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    Create(Create),
    List(List),
    Show(Show),
    /// Delete a run, with its history.
    #[command(after_help = "Example:\n  airlift pipeline-run delete -r registry.example.com -n monday")]
    Delete(Deleted),
    Clean(Clean),
    Prune(Prune),
}

/// Which way a pipeline goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Export,
    Import,
}

/// Run a pipeline, or go on with a run that was killed.
///
/// A run that was done in the same words is not done again: its stored response is shown, unless --force-redeploy is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run create -r registry.example.com -n monday -p up -t export -b monday.tar -a app:1 base@sha256:…
  airlift pipeline-run create -r registry.site:5000 -n monday -p down -t import -b monday.tar
  airlift pipeline-run create --file azuredeploy.parameters.json")]
pub(crate) struct Create {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY", required_unless_present = "file")]
    pub(crate) registry: Option<String>,
    /// The run's name.
    #[arg(short, long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) name: Option<String>,
    /// The pipeline, by name or by resource id.
    #[arg(short, long, value_name = "PIPELINE", required_unless_present = "file")]
    pub(crate) pipeline: Option<String>,
    /// Which way it goes; needed with the pipeline's name.
    #[arg(short = 't', long, value_name = "TYPE", value_enum, ignore_case = true)]
    pub(crate) pipeline_type: Option<Way>,
    /// The bundle's name in the container.
    #[arg(short = 'b', long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) storage_blob: Option<String>,
    /// What to export: repo, repo:tag or repo@sha256:… in the pipeline's registry.
    #[arg(short, long, value_name = "ARTIFACT", num_args = 1..)]
    pub(crate) artifacts: Vec<String>,
    /// Import only a bundle that has this SHA-256, as the export said it.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) catalog_digest: Option<Digest>,
    /// Run it though the same was done already.
    #[arg(short, long)]
    pub(crate) force_redeploy: bool,
    /// Run it though the same was done already, if that was with another tag.
    #[arg(long, value_name = "TAG", conflicts_with = "force_redeploy")]
    pub(crate) force_update_tag: Option<String>,
    /// The whole run from a file, JSON or YAML, or the parameters of Azure's template; '-' is stdin.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["registry", "name", "pipeline", "pipeline_type", "storage_blob", "artifacts", "catalog_digest"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// List runs, the newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run list -r registry.example.com -o table
  airlift pipeline-run list --history -o table")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) listed: Listed,
    /// Also the runs that were done again under the same name.
    #[arg(long)]
    pub(crate) history: bool,
}

/// Show a run: what was asked for, how far it is, and what became of each artifact.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run show -r registry.example.com -n monday
  airlift pipeline-run show -r registry.example.com -n monday --watch -o table")]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Look until it has ended, and tell on stderr how far it is.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// Delete the runs that failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airlift pipeline-run clean -r registry.example.com --dry-run")]
pub(crate) struct Clean {
    #[command(flatten)]
    pub(crate) listed: Listed,
    /// Only say what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Delete runs that have ended from the history.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run prune --keep 20
  airlift pipeline-run prune -r registry.example.com --older-than 90 --dry-run")]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) listed: Listed,
    /// Keep so many of the last runs of each pipeline.
    #[arg(long, value_name = "N", required_unless_present = "older_than")]
    pub(crate) keep: Option<u64>,
    /// Delete only runs that ended more than so many days ago.
    #[arg(long, value_name = "DAYS")]
    pub(crate) older_than: Option<u32>,
    /// Only say what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
