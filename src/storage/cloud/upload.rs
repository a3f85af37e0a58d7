//! A multipart upload, with its journal.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use object_store::{Attribute, Attributes, PutMode, PutMultipartOptions, PutOptions, PutPayload, multipart::PartId};

use super::{
    super::{
        Body, Finish, Location, Object as _, PartCheckpoint, Pinned, Stat, Sums, TakeFrom, Upload, UploadSpec,
        blocking,
        error::{Error, Result},
    },
    CloudObject,
    journal::{UploadJournal, UploadedPart},
};
use crate::oci::Digest;

/// An upload to a bucket.
#[derive(Debug)]
pub(super) struct Multipart {
    object: CloudObject,
    draft: UploadSpec,
    journal: UploadJournal,
    upload: String,
    present: Vec<(u32, PartCheckpoint)>,
    placed: Mutex<BTreeMap<(u32, PartCheckpoint), UploadedPart>>,
}

impl Multipart {
    pub(super) async fn open(object: &CloudObject, draft: &UploadSpec) -> Result<Self> {
        let name = object.location.to_string();
        // An upload that the provider keeps checksums for takes no parts without them, nor the other way round.
        let attested = || Digest::sha256(format!("{}\nattested", draft.identity).as_bytes());
        let identity = if object.settings.attest { attested() } else { draft.identity };
        let mut journal = UploadJournal::open(&object.settings.state, &name, &identity)?;
        let upload = if let Some(upload) = journal.upload() {
            upload.to_owned()
        } else {
            let options = PutMultipartOptions { attributes: attributes(draft), ..PutMultipartOptions::default() };
            let begun = object.store.create_multipart_opts(&object.path, options).await;
            let upload = begun.map_err(|error| object.failed(&error))?;
            journal.begin(&name, &upload)?;
            upload
        };
        let placed = journal.parts().clone();
        let present = placed.keys().copied().collect();
        Ok(Self { object: object.clone(), draft: draft.clone(), journal, upload, present, placed: Mutex::new(placed) })
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

    fn place(&self, number: u32, note: PartCheckpoint, part: UploadedPart) -> Result<()> {
        self.journal.add(number, note, &part)?;
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.retain(|(other, _), _| *other != number);
        placed.insert((number, note), part);
        Ok(())
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

/// Names travel with `-` for `_`: servers and proxies drop headers that have an underscore, and say nothing.
fn attributes(draft: &UploadSpec) -> Attributes {
    let said = draft.metadata.iter();
    let mut attributes: Attributes =
        said.map(|(name, value)| (Attribute::Metadata(name.replace('_', "-").into()), value.clone())).collect();
    attributes.insert(Attribute::ContentType, "application/x-tar".into());
    attributes
}

#[async_trait]
impl Upload for Multipart {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &self.present
    }

    async fn put(&self, number: u32, note: PartCheckpoint, Body { bytes: body, .. }: Body) -> Result<()> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let sha256 = if self.object.settings.attest {
            let hashed = body.clone();
            Some(blocking(move || Digest::sha256(&hashed)).await)
        } else {
            None
        };
        // The body's SHA-256 is part of what is signed, so S3 takes no other bytes.
        let put = self.object.store.put_part(&self.object.path, &self.upload, at, body.into()).await;
        let id = put.map_err(|error| self.failed(&error))?.content_id;
        self.place(number, note, UploadedPart { id, sha256 })
    }

    async fn commit(&self, notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat> {
        let parts: Option<Vec<_>> = {
            let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
            let id = |key: (u32, PartCheckpoint)| placed.get(&key).map(|part| PartId { content_id: part.id.clone() });
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

    async fn attest(&self, notes: &[PartCheckpoint]) -> Result<Option<bool>> {
        let Some(signed) = self.object.signed.as_ref().filter(|_| self.object.settings.attest) else { return Ok(None) };
        let ours: Option<Vec<u8>> = {
            let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = |key: (u32, PartCheckpoint)| placed.get(&key).and_then(|part| part.sha256);
            let sums: Option<Vec<Digest>> = (0..).zip(notes).map(|(number, &note)| sum((number, note))).collect();
            sums.map(|sums| sums.iter().flat_map(|sum| sum.raw().to_vec()).collect())
        };
        let (Some(ours), Some(theirs)) = (ours, signed.sha256(&self.object.path).await?) else { return Ok(None) };
        Ok(Some(theirs == BASE64_STANDARD.encode(Digest::sha256(&ours).raw())))
    }

    fn takes_from(&self) -> Option<&dyn TakeFrom> {
        self.object.signed.is_some().then_some(self)
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

#[async_trait]
impl TakeFrom for Multipart {
    async fn take(
        &self,
        number: u32,
        note: PartCheckpoint,
        source: &Pinned,
        range: Range<u64>,
        sums: &Sums,
    ) -> Result<()> {
        let (Some(signed), Location::S3(bucket)) = (&self.object.signed, source.object().location()) else {
            let what = self.object.location.to_string();
            return Err(Error::Protocol { what, reason: "the source is not S3's".to_owned() });
        };
        let (path, upload) = (&self.object.path, &self.upload);
        let id = signed.copy_part(path, upload, number, (bucket, source), &range, sums).await?;
        self.place(number, note, UploadedPart { id, sha256: Some(sums.sha256) })
    }
}
