use super::pipeline::{Deleted, ListArgs, NamedResource, Pipeline, import_options};

/// Manage pipelines that import from a storage to a registry.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: ImportPipelineCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImportPipelineCommand {
    Create(CreateImportPipeline),
    /// List the import pipelines.
    #[command(after_help = "Example:\n  airlift import-pipeline list -r registry.example.com -o table")]
    List(ListArgs),
    /// Show an import pipeline.
    #[command(after_help = "Example:\n  airlift import-pipeline show -r registry.example.com -n down -o yaml")]
    Show(NamedResource),
    /// Delete an import pipeline. Its runs stay in the history.
    #[command(after_help = "Example:\n  airlift import-pipeline delete -r registry.example.com -n down")]
    Delete(Deleted),
}

/// Create an import pipeline, or replace the one of that name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift import-pipeline create -r registry.example.com -n down -c https://account.blob.core.windows.net/transfer \\
      -s https://vault.vault.azure.net/secrets/sas -z OverwriteTags DeleteSourceBlobOnSuccess
  airlift import-pipeline create -r registry.example.com -n down -c /mnt/transfer
  airlift import-pipeline create --file azuredeploy.parameters.json")]
pub(crate) struct CreateImportPipeline {
    #[command(flatten)]
    pub(crate) pipeline: Pipeline,
    /// Options of every run of this pipeline.
    #[arg(short = 'z', long, value_name = "OPTION", num_args = 1.., value_delimiter = ',', ignore_case = true)]
    #[arg(value_parser = import_options(), conflicts_with = "file")]
    pub(crate) options: Vec<String>,
    /// Let `airlift watch` import new bundles from this pipeline's storage [default: true]
    #[arg(short = 'e', long, value_name = "BOOL", action = clap::ArgAction::Set, conflicts_with = "file")]
    pub(crate) source_trigger_enabled: Option<bool>,
    /// Import only bundles that enough signers of this file vouch for.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) trust: Option<std::path::PathBuf>,
}
