//! Small documents here or in a storage, each read and written in one piece: what vouches for a set, and plans.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    bundle::volume::publication::{LIMIT, SetDocuments},
    oci::Digest,
    storage::{self, Finish, Location, PartCheckpoint, Parts, Pinned, Settings, UploadSpec, parts},
};

/// The documents of a set in a folder, a container, a bucket, or a prefix of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredDocuments<'a> {
    pub(super) folder: &'a Location,
    pub(super) settings: &'a Settings,
}

#[async_trait]
impl SetDocuments for StoredDocuments<'_> {
    type Error = storage::Error;

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, storage::Error> {
        let found = there(&self.folder.join(name), LIMIT, self.settings).await?;
        Ok(found.map(Vec::from))
    }

    async fn put(&self, name: &str, content: Vec<u8>, overwrite: bool) -> Result<bool, storage::Error> {
        match put(&self.folder.join(name), content.into(), overwrite, self.settings).await {
            Ok(()) => Ok(true),
            Err(storage::Error::Exists { .. }) if !overwrite => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), storage::Error> {
        remove(&self.folder.join(name), self.settings).await
    }
}

/// What is there, if anything is: at most `limit` bytes.
///
/// # Errors
/// It is larger.
pub(super) async fn there(place: &Location, limit: u64, settings: &Settings) -> Result<Option<Bytes>, storage::Error> {
    let Some(pinned) = Pinned::find(storage::open(place, settings)?).await? else { return Ok(None) };
    if pinned.stat().size > limit {
        let reason = format!("it has more than {limit} bytes, and is not a document of airlift");
        return Err(storage::Error::Protocol { what: place.to_string(), reason });
    }
    Ok(Some(pinned.bytes(0..pinned.stat().size).await?))
}

/// Makes a document visible at once and whole.
///
/// # Errors
/// [`storage::Error::Exists`] where something is there and `overwrite` is not set.
pub(super) async fn put(
    place: &Location,
    content: Bytes,
    overwrite: bool,
    settings: &Settings,
) -> Result<(), storage::Error> {
    let object = storage::open(place, settings)?;
    let parts = Parts::of(content.len() as u64, parts::USUAL, &object.limits(), place)?;
    let identity = Digest::sha256(&content);
    let metadata = BTreeMap::from([("airlift_document".to_owned(), identity.to_string())]);
    let upload = object.upload(&UploadSpec { identity, parts, metadata }).await?;
    let mut notes = Vec::new();
    for number in 0..parts.count() {
        let range = parts.range(number);
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let note = PartCheckpoint([0; parts::NOTE]);
        upload.put(number, note, content.slice(at(range.start)..at(range.end)).into()).await?;
        notes.push(note);
    }
    let committed = upload.commit(&notes, &Finish { overwrite, md5: None }).await;
    if let Err(storage::Error::Exists { .. }) = committed {
        // Nobody goes on with a document; that its parts cannot be removed is the lesser trouble.
        let _ = upload.abandon().await;
    }
    committed.map(drop)
}

/// Removes what is there, if anything is.
pub(super) async fn remove(place: &Location, settings: &Settings) -> Result<(), storage::Error> {
    match Pinned::find(storage::open(place, settings)?).await? {
        Some(pinned) => pinned.delete().await,
        None => Ok(()),
    }
}
