//! A multipart upload, with its journal.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{Attribute, Attributes, PutMode, PutMultipartOptions, PutOptions, PutPayload, multipart::PartId};

use super::{
    super::{
        Draft, Finish, Note, Object as _, Stat, Upload,
        error::{Error, Result},
    },
    Object,
    journal::Journal,
};

/// An upload to a bucket.
#[derive(Debug)]
pub(super) struct Multipart {
    object: Object,
    draft: Draft,
    journal: Journal,
    upload: String,
    present: Vec<(u32, Note)>,
    ids: Mutex<BTreeMap<(u32, Note), String>>,
}

impl Multipart {
    pub(super) async fn open(object: &Object, draft: &Draft) -> Result<Self> {
        let name = object.location.to_string();
        let mut journal = Journal::open(&object.settings.state, &name, &draft.identity)?;
        let upload = if let Some(upload) = journal.upload() {
            upload.to_owned()
        } else {
            let options = PutMultipartOptions { attributes: attributes(draft), ..PutMultipartOptions::default() };
            let begun = object.store.create_multipart_opts(&object.path, options).await;
            let upload = begun.map_err(|error| object.failed(&error))?;
            journal.begin(&name, &upload)?;
            upload
        };
        let ids = journal.parts().clone();
        let present = ids.keys().copied().collect();
        Ok(Self { object: object.clone(), draft: draft.clone(), journal, upload, present, ids: Mutex::new(ids) })
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        match self.object.failed(error) {
            Error::NotFound { what } => {
                // The upload was aborted or completed elsewhere: the next run begins a new one.
                let _ = self.journal.remove();
                Error::Protocol { what, reason: "the unfinished upload is gone; run the same command again".to_owned() }
            }
            error => error,
        }
    }

    /// An upload of no parts cannot be completed; an empty object is put instead.
    async fn put_empty(&self, overwrite: bool) -> object_store::Result<()> {
        let mode = if overwrite { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, attributes: attributes(&self.draft), ..PutOptions::default() };
        self.object.store.put_opts(&self.object.path, PutPayload::new(), options).await?;
        let _ = self.object.store.abort_multipart(&self.object.path, &self.upload).await;
        Ok(())
    }

    async fn complete(&self, parts: Vec<PartId>, overwrite: bool) -> object_store::Result<()> {
        if parts.is_empty() {
            return self.put_empty(overwrite).await;
        }
        let store = if overwrite { &self.object.store } else { &self.object.creating };
        store.complete_multipart(&self.object.path, &self.upload, parts).await.map(drop)
    }
}

fn attributes(draft: &Draft) -> Attributes {
    let said = draft.metadata.iter();
    let mut attributes: Attributes =
        said.map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone())).collect();
    attributes.insert(Attribute::ContentType, "application/x-tar".into());
    attributes
}

#[async_trait]
impl Upload for Multipart {
    fn present(&self) -> &[(u32, Note)] {
        &self.present
    }

    async fn put(&self, number: u32, note: Note, body: Bytes) -> Result<()> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let put = self.object.store.put_part(&self.object.path, &self.upload, at, body.into()).await;
        let id = put.map_err(|error| self.failed(&error))?.content_id;
        self.journal.add(number, note, &id)?;
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|(other, _), _| *other != number);
        ids.insert((number, note), id);
        Ok(())
    }

    async fn commit(&self, notes: &[Note], finish: &Finish) -> Result<Stat> {
        let parts: Option<Vec<_>> = {
            let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            let id = |key: (u32, Note)| ids.get(&key).map(|id| PartId { content_id: id.clone() });
            (0..).zip(notes).map(|(number, &note)| id((number, note))).collect()
        };
        let missing = || Error::Protocol {
            what: self.object.location.to_string(),
            reason: "a part to commit was never put".to_owned(),
        };
        match self.complete(parts.ok_or_else(missing)?, finish.overwrite).await {
            Ok(()) => {}
            Err(error) => match self.object.failed(&error) {
                Error::Changed { what } | Error::Exists { what } => return Err(Error::Exists { what }),
                _ => return Err(self.failed(&error)),
            },
        }
        self.journal.remove()?;
        self.object.stat().await
    }

    async fn abandon(&self) -> Result<()> {
        let aborted = self.object.store.abort_multipart(&self.object.path, &self.upload).await;
        self.journal.remove()?;
        match aborted.map_err(|error| self.object.failed(&error)) {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
