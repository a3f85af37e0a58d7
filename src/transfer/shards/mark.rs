//! Where a set is written by several machines, and the mark that is there until it is complete.

use std::sync::Arc;

use super::{
    super::documents::{self, StoredDocuments},
    Error, PlanFile,
};
use crate::{
    bundle::{
        Goal,
        volume::{SetManifest, Size, UnsealedSet, publication::Publication, volume_name},
    },
    files::{blocking::off_reactor, small},
    storage::{self, Location, Object, Settings},
    transfer::{
        self,
        export::{Destination, Prefix},
    },
};
/// The place of a set.
#[derive(Clone, Debug)]
pub struct SetPlace {
    /// A folder, a container, a bucket, or a prefix of one.
    pub folder: Location,
    /// What the names of its files begin with.
    pub name: String,
    /// How a storage is spoken to.
    pub settings: Settings,
}

impl SetPlace {
    /// The place that an export of a set goes to; none for other exports.
    pub fn of(to: &Destination, settings: &Settings) -> Option<Self> {
        let (folder, name) = match to {
            Destination::Volumes(goal) => (Location::Path(goal.folder.clone()), goal.name.clone()),
            Destination::Set(prefix) => (prefix.folder.clone(), prefix.name.clone()),
            Destination::File { .. } | Destination::Object { .. } | Destination::Stdout => return None,
        };
        Some(Self { folder, name, settings: settings.clone() })
    }

    /// The place as an export's destination.
    pub(super) fn destination(&self, size: Size, overwrite: bool) -> Destination {
        let Self { folder, name, settings } = self.clone();
        match folder {
            Location::Path(folder) => Destination::Volumes(Goal { folder, name, size, only: None, overwrite }),
            folder => Destination::Set(Prefix { folder, name, size, only: None, overwrite, settings }.into()),
        }
    }

    /// Where the file `name` of the set is.
    pub(super) fn at(&self, name: &str) -> Location {
        self.folder.join(name)
    }

    /// What volume `number` is called.
    pub fn volume_name(&self, number: u32) -> String {
        volume_name(&self.name, number)
    }

    pub(super) fn volume(&self, number: u32) -> Result<Arc<dyn Object>, storage::Error> {
        storage::open(&self.at(&self.volume_name(number)), &self.settings)
    }

    pub(super) fn mark(&self) -> Location {
        self.at(&UnsealedSet::file_name(&self.name))
    }

    /// Where the manifest of the set is.
    pub fn manifest(&self) -> Location {
        self.at(&SetManifest::file_name(&self.name))
    }

    /// Whether the set is complete, and that of `plan`.
    ///
    /// # Errors
    /// It is complete, and another.
    pub(super) async fn is_sealed(&self, plan: &PlanFile) -> Result<bool, Error> {
        match self.publication().manifest().await? {
            None => Ok(false),
            Some(Ok(manifest)) if manifest.set == plan.set() => Ok(true),
            Some(Ok(SetManifest { set: found, .. })) => {
                Err(Error::OtherSet { place: self.manifest().to_string(), expected: plan.set(), found })
            }
            Some(Err(error)) => {
                let path = self.manifest().to_string().into();
                Err(crate::bundle::Error::SetManifest { path, reason: error.to_string() }.into())
            }
        }
    }

    /// What makes a set of its volumes.
    pub(super) fn publication(&self) -> Publication<'_, StoredDocuments<'_>> {
        Publication::new(StoredDocuments { folder: &self.folder, settings: &self.settings }, &self.name)
    }

    /// Checks that what is here is of `plan`.
    ///
    /// # Errors
    /// It is of another plan.
    pub(super) async fn check_mark(&self, plan: &PlanFile) -> Result<bool, Error> {
        let Some(text) = documents::there(&self.mark(), &self.settings).await? else { return Ok(false) };
        // What a later version says of it nobody here can tell.
        let found = UnsealedSet::parse(&text).map_or_else(|| crate::oci::Digest::sha256(&text), |mark| mark.plan);
        if found != plan.id() {
            return Err(Error::OtherPlan { place: self.mark().to_string(), expected: plan.id(), found });
        }
        Ok(true)
    }

    /// Marks the set as one of `plan` that is not complete, unless it is marked so or complete; whether it is complete.
    ///
    /// # Errors
    /// Something of another plan is here.
    pub(super) async fn begin(&self, plan: &PlanFile) -> Result<bool, Error> {
        if self.is_sealed(plan).await? {
            return Ok(true);
        }
        if self.check_mark(plan).await? {
            return Ok(false);
        }
        let mark = UnsealedSet::new(plan.id(), plan.set(), plan.cut().volumes).to_json();
        if !self.put_mark(mark).await? {
            // Another machine was faster: it must say the same.
            self.check_mark(plan).await?;
        }
        Ok(false)
    }

    /// Puts the mark, unless one is there; whether it did.
    async fn put_mark(&self, mark: Vec<u8>) -> Result<bool, Error> {
        if let Location::Path(path) = self.mark() {
            return Ok(off_reactor(move || small::create(&path, &mark)).await.map_err(transfer::Error::from)?);
        }
        match documents::put(&self.mark(), mark.into(), false, &self.settings).await {
            Ok(()) => Ok(true),
            Err(storage::Error::Exists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
