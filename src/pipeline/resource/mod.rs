//! The three resources of the feature that this room grows from, in the shape of Azure's resource manager.
//!
//! Texts become resources by `read` and [`file::documents`] only, which tell every problem at once, each with its JSON
//! path; [`Resource::document`] is the way back.

mod arm;
mod cursor;
mod document;
pub mod file;
mod id;
mod read;
#[cfg(test)]
mod schema;
mod words;

use std::{collections::BTreeSet, path::PathBuf};

pub use cursor::Problem;
pub use id::{Kind, ResourceId, registry_host};
pub use read::read;
pub(super) use read::reference;
pub use words::{AccessMode, BlobType, ContainerType, ExportOption, ImportOption};

use super::secret::SecretReference as Secret;
use crate::{
    bundle::volume::{SetManifest, Size},
    oci::Digest,
    storage::{self, Location},
};

/// Artifacts that one export run may carry where the pipeline says nothing else: the limit of the original.
pub const MAX_ARTIFACTS: usize = 50;

/// Any of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Registry → storage.
    Export(ExportPipeline),
    /// Storage → registry.
    Import(ImportPipeline),
    /// One run of either.
    Run(PipelineRun),
}

/// A long-lived binding of a registry to the container that its bundles go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPipeline {
    /// Its name, within the registry.
    pub name: String,
    /// The registry, `HOST[:PORT][/PREFIX]`, that artifacts come from.
    pub registry: String,
    /// Who the runs are towards vaults and storages.
    pub identity: PipelineIdentity,
    /// Where bundles go.
    pub target: Container,
    /// What else it may do.
    pub options: BTreeSet<ExportOption>,
    /// Artifacts of one run at the most.
    pub max_artifacts: usize,
    /// Write sets of volumes of at most this size, where bundles go to a folder.
    pub volume_size: Option<Size>,
}

impl ExportPipeline {
    /// The place of the bundle `blob`; of a set of volumes, that of its manifest.
    ///
    /// # Errors
    /// As [`Container::location`].
    pub fn place(&self, blob: &str) -> storage::Result<Location> {
        let stem = |name: &str| SetManifest::file_name(name.strip_suffix(".tar").unwrap_or(name));
        self.target.location(&self.volume_size.map_or_else(|| blob.to_owned(), |_| stem(blob)))
    }
}

/// A long-lived binding of a registry to the container that its bundles come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportPipeline {
    /// Its name, within the registry.
    pub name: String,
    /// The registry, `HOST[:PORT][/PREFIX]`, that artifacts go to.
    pub registry: String,
    /// Who the runs are towards vaults and storages.
    pub identity: PipelineIdentity,
    /// Where bundles come from.
    pub source: Container,
    /// Whether a bundle that lands in the source is imported without being asked for.
    pub trigger: bool,
    /// What else it may do.
    pub options: BTreeSet<ImportOption>,
    /// The trust file: who must vouch for a bundle.
    pub trust: Option<PathBuf>,
}

/// One run of a pipeline, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineRun {
    /// Its name, within the registry.
    pub name: String,
    /// The registry of its pipeline.
    pub registry: String,
    /// What is to be done.
    pub request: Request,
    /// Another value than last time runs an identical request once more.
    pub force_update_tag: Option<String>,
}

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The pipeline; its kind says which way things go.
    pub pipeline: ResourceId,
    /// What to export: `repo`, `repo:tag` or `repo@sha256:…` in the pipeline's registry. Empty for an import.
    pub artifacts: Vec<String>,
    /// What the receiver has, which an export leaves out: receipts, heads, bundles, layouts, stores and registries.
    pub base: Vec<String>,
    /// What the blob is called an object of, if that was said.
    pub blob_type: Option<BlobType>,
    /// The bundle's name in the pipeline's container.
    pub blob: String,
    /// SHA-256 that the whole bundle must have, for an import.
    pub catalog_digest: Option<Digest>,
}

/// Who a pipeline's runs are towards vaults and storages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PipelineIdentity {
    /// The machine's own managed identity, or whatever else is found there.
    #[default]
    System,
    /// A user-assigned managed identity: its client id, or its whole resource id.
    User(String),
}

impl PipelineIdentity {
    /// The user-assigned one's id.
    pub fn user_assigned(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::User(id) => Some(id),
        }
    }
}

/// A place of bundles, and how it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What it is; follows from the address.
    pub kind: ContainerType,
    /// Its address, which never holds a secret.
    pub uri: String,
    /// Where the SAS token is kept, with [`AccessMode::SasToken`].
    pub secret: Option<Secret>,
    /// How it is opened, where it is Azure's.
    pub mode: Option<AccessMode>,
}

impl Container {
    /// The place of the bundle `name`, unsigned: what opens it is fetched at each run ([`crate::storage::Settings`]).
    ///
    /// # Errors
    /// The address and the name make no location.
    pub fn location(&self, name: &str) -> storage::Result<Location> {
        Ok(self.folder()?.join(name))
    }

    /// The place itself, unsigned.
    ///
    /// # Errors
    /// The address is not a location.
    pub fn folder(&self) -> storage::Result<Location> {
        Location::parse_unsigned(&self.uri)
    }
}

impl Resource {
    /// Which of the three it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Export(_) => Kind::ExportPipeline,
            Self::Import(_) => Kind::ImportPipeline,
            Self::Run(_) => Kind::PipelineRun,
        }
    }

    /// Its registry and its name.
    pub fn names(&self) -> (&str, &str) {
        match self {
            Self::Export(pipeline) => (&pipeline.registry, &pipeline.name),
            Self::Import(pipeline) => (&pipeline.registry, &pipeline.name),
            Self::Run(run) => (&run.registry, &run.name),
        }
    }

    /// Its id.
    pub fn id(&self) -> ResourceId {
        let (registry, name) = self.names();
        ResourceId { kind: self.kind(), registry: registry.to_owned(), name: name.to_owned() }
    }
}
