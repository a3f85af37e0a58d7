//! What the pipelines' commands have in common.

use std::path::PathBuf;

use airlift::pipeline::resource::{AccessMode, ExportOption, ImportOption, registry_host};
use clap::{ValueEnum, builder::PossibleValuesParser};

/// How a resource is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
    Table,
}

/// Where pipelines are kept, and how they are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    #[arg(help = "The folder in which pipelines and runs are kept [default: $XDG_STATE_HOME/airlift]")]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Taken and ignored: there are no resource groups here.
    #[arg(short = 'g', long, value_name = "GROUP", hide = true)]
    pub(crate) resource_group: Option<String>,
}

/// A resource by its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY", value_parser = registry_host)]
    pub(crate) registry: String,
    /// The name of the resource.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A resource that is to go.
#[derive(Debug, clap::Args)]
pub(crate) struct Deleted {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Taken and ignored: nobody is asked.
    #[arg(short, long, hide = true)]
    pub(crate) yes: bool,
}

/// Resources of a registry, or of all.
#[derive(Debug, clap::Args)]
pub(crate) struct Listed {
    /// Only of this registry.
    #[arg(short, long, value_name = "REGISTRY", value_parser = registry_host)]
    pub(crate) registry: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What both pipelines are made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Pipeline {
    /// The registry: HOST[:PORT][/PREFIX], or the name of one in Azure.
    #[arg(short, long, value_name = "REGISTRY")]
    pub(crate) registry: Option<String>,
    /// The pipeline's name.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[arg(
        help = "Where bundles lie: a container's URL without a SAS, az://ACCOUNT/CONTAINER, s3:// or gs://BUCKET/PREFIX, a folder"
    )]
    #[arg(short = 'c', long, value_name = "URI")]
    pub(crate) storage_container_uri: Option<String>,
    #[arg(help = "How a container of Azure is opened [default: SasToken]")]
    #[arg(short = 'm', long, value_name = "MODE", ignore_case = true)]
    #[arg(value_parser = PossibleValuesParser::new(AccessMode::WORDS))]
    pub(crate) storage_access_mode: Option<String>,
    #[arg(
        help = "Where the SAS token is kept: https://VAULT.vault.azure.net/secrets/NAME, env:NAME, file:PATH or exec:COMMAND"
    )]
    #[arg(short, long, value_name = "REFERENCE")]
    pub(crate) secret_uri: Option<String>,
    /// The user-assigned managed identity, by client id or resource id [default: the machine's own]
    #[arg(short = 'i', long, value_name = "ID")]
    pub(crate) assign_identity: Option<String>,
    /// The whole resource from a file, JSON or YAML, or the parameters of Azure's template; '-' is stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["storage_container_uri", "storage_access_mode", "secret_uri", "assign_identity"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The words of export pipelines' options.
pub(crate) fn export_options() -> PossibleValuesParser {
    PossibleValuesParser::new(ExportOption::WORDS)
}

/// The words of import pipelines' options.
pub(crate) fn import_options() -> PossibleValuesParser {
    PossibleValuesParser::new(ImportOption::WORDS)
}
