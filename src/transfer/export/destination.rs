//! Where an export goes.

use std::{path::PathBuf, sync::Arc};

use super::super::documents::StoredDocuments;
use crate::{
    bundle::{
        Goal,
        volume::{SetManifest, Size, publication::Publication},
    },
    storage::{self, Location, Object, Settings},
};

/// Where the bundle goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A file; beside it lie `NAME.partial` and its journal until it is complete.
    File {
        /// Its final name.
        path: PathBuf,
        /// Whether a file of that name may be replaced.
        overwrite: bool,
    },
    /// The volumes of a set.
    Volumes(Goal),
    /// An object in a storage, sent in parts that a later run finds again; nothing is written here.
    Object {
        /// Its place.
        object: Arc<dyn Object>,
        /// Whether an object that is there may be replaced.
        overwrite: bool,
    },
    /// The volumes of a set, sent into a storage likewise.
    Set(Box<Prefix>),
    /// Standard output, in order, without resume.
    Stdout,
}

/// A set of volumes that is to lie in a storage.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// A container, a bucket, or a prefix of one.
    pub folder: Location,
    /// What the names of its files begin with.
    pub name: String,
    /// Bytes that a volume may have.
    pub size: Size,
    /// Sends this volume alone; its bytes are the same as when all are sent.
    pub only: Option<u32>,
    /// Whether a set of that name may be replaced.
    pub overwrite: bool,
    /// How the storage is spoken to.
    pub settings: Settings,
}

impl Prefix {
    /// Where the manifest of the set is.
    pub(super) fn manifest(&self) -> Location {
        self.folder.join(&SetManifest::file_name(&self.name))
    }

    /// Checks, before the first request for an artifact, that nothing is in the place of the manifest that is none.
    pub(crate) async fn check(&self) -> Result<(), storage::Error> {
        if !self.overwrite && matches!(self.publication().manifest().await?, Some(Err(_))) {
            return Err(exists(&self.manifest()));
        }
        Ok(())
    }

    /// What makes a set of its volumes.
    pub(super) fn publication(&self) -> Publication<'_, StoredDocuments<'_>> {
        Publication::new(StoredDocuments { folder: &self.folder, settings: &self.settings }, &self.name)
    }
}

pub(super) fn exists(place: &Location) -> storage::Error {
    storage::Error::Exists { what: place.to_string() }
}
