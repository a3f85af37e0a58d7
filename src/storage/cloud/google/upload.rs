//! An upload: parts as objects with their notes in their names, composed by the commit.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{
        super::{
            Body, Finish, Location, Object as _, PartCheckpoint, Stat, Upload, UploadSpec,
            error::{Error, Result},
        },
        CloudObject,
        journal::UploadJournal,
    },
    api::{Api, NewObject, SOURCES, Stored},
    parts,
};

/// Small requests under way at once.
const AT_ONCE: usize = 16;

/// How often a part is sent that arrives as something else.
const ALTERED: u32 = 3;

/// What a bundle is.
const TAR: &str = "application/x-tar";

/// What a part is.
const BYTES: &str = "application/octet-stream";

/// An upload to a bucket.
#[derive(Debug)]
pub(in crate::storage::cloud) struct Composed {
    object: CloudObject,
    api: Api,
    key: String,
    folder: String,
    metadata: BTreeMap<String, String>,
    /// Says which uploads were begun here, and that this one is under way; what is there of it the bucket knows.
    journal: UploadJournal,
    present: Vec<(u32, PartCheckpoint)>,
    placed: Mutex<BTreeMap<(u32, PartCheckpoint), Stored>>,
}

impl Composed {
    pub(in crate::storage::cloud) async fn open(object: &CloudObject, api: &Api, draft: &UploadSpec) -> Result<Self> {
        let Location::Gcs(place) = &object.location else {
            return Err(Error::Protocol { what: object.location.to_string(), reason: "it is not Google's".to_owned() });
        };
        let name = object.location.to_string();
        let folder = parts::folder(&place.key, &draft.identity);
        let mut journal = UploadJournal::open(&object.settings.state, &name, &draft.identity)?;
        if journal.upload() != Some(&folder) {
            journal.begin(&name, &folder)?;
        }
        let found = api.list(&folder).await?.into_iter();
        let placed: BTreeMap<_, _> =
            found.filter_map(|stored| Some((parts::read(&folder, &stored.name)?, stored))).collect();
        // Names travel with `-` for `_`: the interface that reads them has them in headers.
        let metadata = draft.metadata.iter().map(|(name, value)| (name.replace('_', "-"), value.clone())).collect();
        Ok(Self {
            object: object.clone(),
            api: api.clone(),
            key: place.key.clone(),
            folder,
            metadata,
            journal,
            present: placed.keys().copied().collect(),
            placed: Mutex::new(placed),
        })
    }

    /// The parts with these notes, in order.
    fn pieces(&self, notes: &[PartCheckpoint]) -> Result<Vec<Stored>> {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = (0..).zip(notes).map(|(number, &note)| placed.get(&(number, note)).cloned());
        pieces.collect::<Option<_>>().ok_or_else(|| Error::Protocol {
            what: self.object.location.to_string(),
            reason: "a part to commit was never put".to_owned(),
        })
    }

    async fn compose(&self, pieces: Vec<Stored>, creates: bool) -> Result<()> {
        let whole = NewObject { name: &self.key, content_type: TAR, metadata: &self.metadata, creates };
        if pieces.is_empty() {
            return self.api.insert(&whole, Bytes::new().into()).await.map(drop);
        }
        let pieces = self.fewer(pieces).await.map_err(gone)?;
        self.api.compose(&pieces, &whole).await.map(drop).map_err(gone)
    }

    /// As many as one composition takes, or less.
    async fn fewer(&self, mut pieces: Vec<Stored>) -> Result<Vec<Stored>> {
        let mut level = 0;
        while pieces.len() > SOURCES {
            level += 1;
            let name = |index| parts::composed(&self.folder, level, index);
            let groups = pieces.chunks(SOURCES).enumerate();
            let groups: Vec<_> = groups.map(|(index, group)| self.group(name(index), group.to_vec())).collect();
            pieces = stream::iter(groups).buffered(AT_ONCE).try_collect().await?;
        }
        Ok(pieces)
    }

    async fn group(&self, name: String, group: Vec<Stored>) -> Result<Stored> {
        let nothing = BTreeMap::new();
        let target = NewObject { name: &name, content_type: BYTES, metadata: &nothing, creates: false };
        self.api.compose(&group, &target).await
    }

    /// What was composed is there; that its parts cannot be removed does not undo it.
    async fn tidy(&self) -> Result<()> {
        match remove(&self.api, &self.folder).await {
            Ok(_) => self.journal.remove(),
            Err(error) => {
                tracing::warn!(folder = self.folder, "parts stay behind, for `airlift abandon`: {error}");
                Ok(())
            }
        }
    }
}

/// Parts that are not there any more were composed or removed by somebody else.
fn gone(error: Error) -> Error {
    match error {
        Error::NotFound { what } => {
            let reason = "the parts of the unfinished upload are gone; run the same command again".to_owned();
            Error::Protocol { what, reason }
        }
        error => error,
    }
}

/// Removes the parts in `folder`, and what was composed of some of them; how many there were.
pub(in crate::storage::cloud) async fn remove(api: &Api, folder: &str) -> Result<u64> {
    let found = api.list(folder).await?.into_iter().filter(|stored| parts::is_part(&stored.name));
    let removals: Vec<_> = found.map(|stored| remove_one(api, stored)).collect();
    let count = removals.len() as u64;
    stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(count)
}

async fn remove_one(api: &Api, stored: Stored) -> Result<()> {
    match api.delete(&stored).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}

#[async_trait]
impl Upload for Composed {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &self.present
    }

    async fn put(&self, number: u32, note: PartCheckpoint, body: Body) -> Result<()> {
        let (name, nothing) = (parts::name(&self.folder, number, note), BTreeMap::new());
        let target = NewObject { name: &name, content_type: BYTES, metadata: &nothing, creates: false };
        let mut tries = 1;
        let stored = loop {
            match self.api.insert(&target, body.clone()).await {
                // What arrived was not what was sent.
                Err(Error::Protocol { reason, .. }) if tries < ALTERED && reason.contains("MD5 hash") => {
                    tracing::warn!(number, reason, "a part was not taken; it is sent again");
                    tries += 1;
                }
                outcome => break outcome?,
            }
        };
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).insert((number, note), stored);
        Ok(())
    }

    async fn commit(&self, notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat> {
        let pieces = self.pieces(notes)?;
        if !finish.overwrite {
            // The composition has the last word; this one spares it where the answer is known.
            match self.object.stat().await {
                Ok(_) => return Err(Error::Exists { what: self.object.location.to_string() }),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.compose(pieces, !finish.overwrite).await?;
        self.tidy().await?;
        self.object.stat().await
    }

    async fn abandon(&self) -> Result<()> {
        remove(&self.api, &self.folder).await?;
        self.journal.remove()
    }
}
