//! Options that all pipeline commands share.

use std::path::PathBuf;

use airlift::pipeline::resource::{AccessMode, ExportOption, ImportOption, registry_host};
use clap::{ValueEnum, builder::PossibleValuesParser};

/// The format in which a resource is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Json,
    Yaml,
    Table,
}

/// The state folder, and the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    #[arg(help = "The folder that holds pipelines and runs [default: $XDG_STATE_HOME/airlift]")]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
    /// Accepted and ignored: airlift has no resource groups.
    #[arg(short = 'g', long, value_name = "GROUP", hide = true)]
    pub(crate) resource_group: Option<String>,
}

/// A resource by its name.
#[derive(Debug, clap::Args)]
pub(crate) struct NamedResource {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY", value_parser = registry_host)]
    pub(crate) registry: String,
    /// The name of the resource.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A resource to delete.
#[derive(Debug, clap::Args)]
pub(crate) struct Deleted {
    #[command(flatten)]
    pub(crate) named: NamedResource,
    /// Accepted and ignored: airlift does not ask for confirmation.
    #[arg(short, long, hide = true)]
    pub(crate) yes: bool,
}

/// Resources of a registry, or of all.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// List only resources of this registry.
    #[arg(short, long, value_name = "REGISTRY", value_parser = registry_host)]
    pub(crate) registry: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options that export and import pipelines share.
#[derive(Debug, clap::Args)]
pub(crate) struct Pipeline {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY")]
    pub(crate) registry: Option<String>,
    /// The pipeline's name.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[arg(
        help = "The location of the bundles: a container URL without a SAS, az://ACCOUNT/CONTAINER, s3:// or gs://BUCKET/PREFIX, or a folder"
    )]
    #[arg(short = 'c', long, value_name = "URI")]
    pub(crate) storage_container_uri: Option<String>,
    #[arg(help = "How to authenticate to an Azure container [default: SasToken]")]
    #[arg(short = 'm', long, value_name = "MODE", ignore_case = true)]
    #[arg(value_parser = PossibleValuesParser::new(AccessMode::WORDS))]
    pub(crate) storage_access_mode: Option<String>,
    #[arg(
        help = "Where to read the SAS token from: https://VAULT.vault.azure.net/secrets/NAME, env:NAME, file:PATH or exec:COMMAND"
    )]
    #[arg(short, long, value_name = "REFERENCE")]
    pub(crate) secret_uri: Option<String>,
    /// The user-assigned managed identity, by client id or resource id [default: the machine's own]
    #[arg(short = 'i', long, value_name = "ID")]
    pub(crate) assign_identity: Option<String>,
    /// Read the pipeline from this JSON or YAML file, or from parameters of Azure's template; '-' reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["storage_container_uri", "storage_access_mode", "secret_uri", "assign_identity"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of export pipelines.
pub(crate) fn export_options() -> PossibleValuesParser {
    PossibleValuesParser::new(ExportOption::WORDS)
}

/// The options of import pipelines.
pub(crate) fn import_options() -> PossibleValuesParser {
    PossibleValuesParser::new(ImportOption::WORDS)
}
