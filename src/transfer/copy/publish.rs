//! What vouches for a set where it was copied to: the sums, and then the manifest.

use std::path::PathBuf;

use super::{super::documents, error::Error, request::CopyRequest};
use crate::{
    bundle::{
        GatheredSet,
        volume::{SUMS, SetFile, SetManifest},
    },
    files,
    storage::{Location, Settings},
};

/// The manifest and the sums of a set, before they are visible.
pub(super) struct Publication<'a> {
    set: &'a GatheredSet,
    /// What the manifest is called.
    own: String,
    request: &'a CopyRequest,
    settings: &'a Settings,
    /// The volumes as they were copied.
    volumes: Vec<SetFile>,
}

impl<'a> Publication<'a> {
    pub(super) fn of(set: &'a GatheredSet, name: &str, request: &'a CopyRequest, settings: &'a Settings) -> Self {
        Self { set, own: SetManifest::file_name(name), request, settings, volumes: Vec::new() }
    }

    /// A volume is there.
    pub(super) fn add(&mut self, file: SetFile) {
        self.volumes.push(file);
    }

    /// Checks that no other set is in the way, before anything is copied; whether the manifest of this one is there.
    pub(super) async fn check(&self) -> Result<bool, Error> {
        if self.request.overwrite {
            return Ok(false);
        }
        let place = self.request.to.join(&self.own);
        let found = documents::there(&place, self.settings).await?;
        let is_ours = |text: &[u8]| match (&self.set.manifest, SetManifest::parse(text)) {
            (Some((_, ours)), _) => ours.to_json() == text,
            (None, Ok(found)) => found.bundle == self.set.reader.id() && Some(found.set) == self.set.reader.set_id(),
            (None, Err(_)) => false,
        };
        if found.as_ref().is_some_and(|text| !is_ours(text)) {
            return Err(exists(&place));
        }
        // A run that was killed may have written the sums, and all of the set, which is proven once more.
        let ours = self.set.manifest.as_ref().map(|(_, manifest)| manifest);
        let ours = ours.cloned().or_else(|| SetManifest::parse(found.as_ref()?).ok());
        let sums = ours.map(|manifest| manifest.sums(&self.own).into_bytes());
        let place = self.request.to.join(SUMS);
        match documents::there(&place, self.settings).await? {
            Some(found) if Some(&found[..]) != sums.as_deref() => Err(exists(&place)),
            _ => Ok(found.is_some()),
        }
    }

    /// Writes both. From then on the set is one.
    pub(super) async fn publish(self) -> Result<Location, Error> {
        let manifest = match (&self.set.manifest, self.set.reader.cut(), self.set.reader.set_id()) {
            (Some((_, manifest)), ..) => manifest.clone(),
            (None, Some(cut), Some(id)) => SetManifest::new(self.set.reader.id(), id, cut, self.volumes),
            _ => return Err(Error::NotAFile { path: self.set.reader.path().to_owned() }),
        };
        let (text, sums) = (manifest.to_json(), manifest.sums(&self.own).into_bytes());
        let (sums_place, place) = (self.request.to.join(SUMS), self.request.to.join(&self.own));
        // That nothing else is in their places was looked at before.
        documents::put(&sums_place, sums.into(), true, self.settings).await?;
        documents::put(&place, text.into(), true, self.settings).await?;
        Ok(place)
    }
}

fn exists(place: &Location) -> Error {
    files::Error::Exists { path: PathBuf::from(place.to_string()) }.into()
}
