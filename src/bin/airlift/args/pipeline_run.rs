use std::path::PathBuf;

use airlift::oci::Digest;
use clap::ValueEnum;

use super::pipeline::{Common, Deleted, ListArgs, NamedResource};

/// Run pipelines, and show their runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: PipelineRunCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PipelineRunCommand {
    Create(Box<CreateRun>),
    List(List),
    Show(Show),
    /// Delete a run and its history.
    #[command(after_help = "Example:\n  airlift pipeline-run delete -r registry.example.com -n monday")]
    Delete(Deleted),
    Clean(Clean),
    Prune(Prune),
}

/// The direction of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    Export,
    Import,
}

/// Run a pipeline, or resume a run that was interrupted.
///
/// If the same run has succeeded before, airlift prints its stored result and does not repeat it; --force-redeploy does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run create -r registry.example.com -n monday -p up -t export -b monday.tar -a app:1 base@sha256:…
  airlift pipeline-run create -r registry.site:5000 -n monday -p down -t import -b monday.tar
  airlift pipeline-run create --file azuredeploy.parameters.json")]
pub(crate) struct CreateRun {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY", required_unless_present = "file")]
    pub(crate) registry: Option<String>,
    /// The run's name.
    #[arg(short, long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) name: Option<String>,
    /// The pipeline, by name or by resource id.
    #[arg(short, long, value_name = "PIPELINE", required_unless_present = "file")]
    pub(crate) pipeline: Option<String>,
    /// The type of the pipeline. Needed if you name the pipeline by its name instead of its resource id.
    #[arg(short = 't', long, value_name = "TYPE", value_enum, ignore_case = true)]
    pub(crate) pipeline_type: Option<Direction>,
    /// The name of the bundle in the container.
    #[arg(short = 'b', long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) storage_blob: Option<String>,
    /// Artifacts to export: repo, repo:tag or repo@sha256:… in the pipeline's registry.
    #[arg(short, long, value_name = "ARTIFACT", num_args = 1..)]
    pub(crate) artifacts: Vec<String>,
    /// Leave out what the receiver has by this receipt, head, bundle or registry; repeatable.
    #[arg(long, value_name = "RECEIPT|HEAD|BUNDLE|REGISTRY")]
    pub(crate) base: Vec<String>,
    /// Import the bundle only if it has this SHA-256, which the export printed.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) catalog_digest: Option<Digest>,
    /// Repeat a run that has already succeeded.
    #[arg(short, long)]
    pub(crate) force_redeploy: bool,
    /// Repeat a run that has already succeeded, if it ran with another tag.
    #[arg(long, value_name = "TAG", conflicts_with = "force_redeploy")]
    pub(crate) force_update_tag: Option<String>,
    /// Read the run from this JSON or YAML file, or from parameters of Azure's template; '-' reads stdin.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["registry", "name", "pipeline", "pipeline_type", "storage_blob", "artifacts", "base", "catalog_digest"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// List runs, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run list -r registry.example.com -o table
  airlift pipeline-run list --history -o table")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) listed: ListArgs,
    /// Include earlier runs of the same name.
    #[arg(long)]
    pub(crate) history: bool,
}

/// Show a run: its request, its progress, and the result of each artifact.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run show -r registry.example.com -n monday
  airlift pipeline-run show -r registry.example.com -n monday --watch -o table")]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) named: NamedResource,
    /// Wait until the run ends, and print its progress to stderr.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// Delete failed runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airlift pipeline-run clean -r registry.example.com --dry-run")]
pub(crate) struct Clean {
    #[command(flatten)]
    pub(crate) listed: ListArgs,
    /// Print what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Delete finished runs from the history.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pipeline-run prune --keep 20
  airlift pipeline-run prune -r registry.example.com --older-than 90 --dry-run")]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) listed: ListArgs,
    /// Keep the last N runs of each pipeline.
    #[arg(long, value_name = "N", required_unless_present = "older_than")]
    pub(crate) keep: Option<u64>,
    /// Delete only runs that ended more than DAYS days ago.
    #[arg(long, value_name = "DAYS")]
    pub(crate) older_than: Option<u32>,
    /// Print what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
