use super::pipeline::{Deleted, ListArgs, NamedResource, Pipeline, export_options};

/// Manage pipelines that export from a registry to a storage.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: ExportPipelineCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ExportPipelineCommand {
    Create(CreateExportPipeline),
    /// List the export pipelines.
    #[command(after_help = "Example:\n  airlift export-pipeline list -r registry.example.com -o table")]
    List(ListArgs),
    /// Show an export pipeline.
    #[command(after_help = "Example:\n  airlift export-pipeline show -r registry.example.com -n up -o yaml")]
    Show(NamedResource),
    /// Delete an export pipeline. Its runs stay in the history.
    #[command(after_help = "Example:\n  airlift export-pipeline delete -r registry.example.com -n up")]
    Delete(Deleted),
}

/// Create an export pipeline, or replace the one of that name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift export-pipeline create -r registry.example.com -n up -c https://account.blob.core.windows.net/transfer \\
      -s https://vault.vault.azure.net/secrets/sas -z OverwriteBlobs ContinueOnErrors
  airlift export-pipeline create -r registry.example.com -n up -c /mnt/transfer
  airlift export-pipeline create --file azuredeploy.parameters.json")]
pub(crate) struct CreateExportPipeline {
    #[command(flatten)]
    pub(crate) pipeline: Pipeline,
    /// Options of every run of this pipeline.
    #[arg(short = 'z', long, value_name = "OPTION", num_args = 1.., value_delimiter = ',', ignore_case = true)]
    #[arg(value_parser = export_options(), conflicts_with = "file")]
    pub(crate) options: Vec<String>,
    /// Refuse a run of more artifacts than this [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "file")]
    pub(crate) max_artifacts: Option<u64>,
    /// Write sets of volumes of at most this size into a folder: 4GiB, 700MB, fat32, dvd, dvd-dl, bd, bd-dl.
    #[arg(long, value_name = "SIZE", conflicts_with = "file")]
    pub(crate) volume_size: Option<String>,
}
