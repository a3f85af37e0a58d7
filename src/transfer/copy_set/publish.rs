//! What vouches for a set where it was copied to: the sums, and then the manifest.

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;

use super::{super::copy::Error, Request};
use crate::{
    bundle::{
        self, Gathered,
        volume::{File, Manifest, SUMS},
    },
    oci::Digest,
    storage::{self, Draft, Finish, Location, Note, Parts, Pinned, Settings, parts},
};

/// The manifest and the sums of a set, before they are visible.
pub(super) struct Publication<'a> {
    set: &'a Gathered,
    /// What the manifest is called.
    own: String,
    request: &'a Request,
    settings: &'a Settings,
    /// The volumes as they were copied.
    volumes: Vec<File>,
}

impl<'a> Publication<'a> {
    pub(super) fn of(set: &'a Gathered, name: &str, request: &'a Request, settings: &'a Settings) -> Self {
        Self { set, own: Manifest::file_name(name), request, settings, volumes: Vec::new() }
    }

    /// A volume is there.
    pub(super) fn add(&mut self, file: File) {
        self.volumes.push(file);
    }

    /// Checks that no other set is in the way, before anything is copied.
    pub(super) async fn check(&self) -> Result<(), Error> {
        if self.request.overwrite {
            return Ok(());
        }
        let ours = self.set.manifest.as_ref().map(|(_, manifest)| manifest);
        let sums = ours.map(|manifest| manifest.sums(&self.own).into_bytes());
        // A run that was killed may have written the sums, and in a storage all of it, where it is proven once more.
        let is_far = self.request.to.path().is_none();
        let manifest = ours.filter(|_| is_far).map(Manifest::to_json);
        for (name, ours) in [(SUMS, sums), (&*self.own, manifest)] {
            let place = self.request.to.join(name);
            match self.there(&place).await? {
                Some(found) if Some(&found[..]) != ours.as_deref() => {
                    return Err(bundle::Error::Exists { path: PathBuf::from(place.to_string()) }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn there(&self, place: &Location) -> Result<Option<Bytes>, Error> {
        match Pinned::open(storage::open(place, self.settings)?).await {
            Ok(pinned) => Ok(Some(pinned.bytes(0..pinned.stat().size).await?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes both. From then on the set is one.
    pub(super) async fn publish(self) -> Result<Location, Error> {
        let manifest = match (&self.set.manifest, self.set.reader.cut(), self.set.reader.set_id()) {
            (Some((_, manifest)), ..) => manifest.clone(),
            (None, Some(cut), Some(id)) => Manifest::new(self.set.reader.id(), id, cut, self.volumes),
            _ => return Err(Error::NotAFile { path: self.set.reader.path().to_owned() }),
        };
        let (text, sums) = (manifest.to_json(), manifest.sums(&self.own).into_bytes());
        let (sums_place, place) = (self.request.to.join(SUMS), self.request.to.join(&self.own));
        put(&sums_place, sums.into(), self.settings).await?;
        put(&place, text.into(), self.settings).await?;
        Ok(place)
    }
}

/// Makes a small document visible at once and whole. That nothing else was in its place was looked at before.
async fn put(place: &Location, content: Bytes, settings: &Settings) -> Result<(), storage::Error> {
    let object = storage::open(place, settings)?;
    let parts = Parts::of(content.len() as u64, parts::USUAL, &object.limits(), place)?;
    let identity = Digest::sha256(&content);
    let metadata = BTreeMap::from([("airlift_document".to_owned(), identity.to_string())]);
    let upload = object.upload(&Draft { identity, parts, metadata }).await?;
    let mut notes = Vec::new();
    for number in 0..parts.count() {
        let range = parts.range(number);
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let note = Note([0; parts::NOTE]);
        upload.put(number, note, content.slice(at(range.start)..at(range.end)).into()).await?;
        notes.push(note);
    }
    upload.commit(&notes, &Finish { overwrite: true, md5: None }).await.map(drop)
}
