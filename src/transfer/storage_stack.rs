//! Objects side by side in a storage, among which the volumes of a set may be.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tokio::sync::{Mutex, OnceCell};

use super::error::Error;
use crate::{
    bundle::{
        self, Reader,
        stack::{Candidate, Look, NamedFiles, Stack, look_at},
    },
    files,
    pack::{self, ReadSettings},
    storage::{self, Location, Pinned, Settings},
};

/// What was named in a storage, and what lies beside it. Of each object one version is read, whatever is read of it.
#[derive(Debug)]
pub(super) struct StorageStack {
    settings: Settings,
    asked: NamedFiles,
    folder: Location,
    listed: OnceCell<Vec<Candidate>>,
    seen: Mutex<BTreeMap<PathBuf, Seen>>,
}

/// An object that was looked at.
#[derive(Clone, Debug)]
struct Seen {
    pinned: Pinned,
    /// What reads it, if it is a sound bundle.
    reader: Option<Reader>,
}

impl StorageStack {
    /// What `named` leads to: objects, or where there is none of that name all that lies below it.
    ///
    /// # Errors
    /// [`storage::Error::NotFound`] where there is neither.
    pub(super) async fn of(named: &[Location], settings: &Settings) -> Result<Self, storage::Error> {
        let nothing = || storage::Error::Location { text: String::new(), reason: "nothing was named" };
        let first = named.first().ok_or_else(nothing)?;
        let begun = |asked, folder: Location| Self {
            settings: settings.clone(),
            asked,
            folder,
            listed: OnceCell::new(),
            seen: Mutex::default(),
        };
        let all = || begun(NamedFiles::Folder(path_of(first)), first.clone());
        let Some((folder, _)) = first.split() else { return Ok(all()) };
        let (mut files, mut seen) = (Vec::new(), BTreeMap::new());
        for location in named {
            let pinned = match Pinned::open(storage::open(location, settings)?).await {
                Err(error) if error.is_not_found() && files.is_empty() => {
                    let all = all();
                    let found = all.listed().await.is_ok_and(|files| !files.is_empty());
                    return if found { Ok(all) } else { Err(error) };
                }
                pinned => pinned?,
            };
            let (path, size) = (path_of(location), pinned.stat().size);
            let name = location.split().map(|(_, name)| name).unwrap_or_default();
            files.push(Candidate { path: path.clone(), name, size });
            seen.insert(path, Seen { pinned, reader: None });
        }
        Ok(Self { seen: Mutex::new(seen), ..begun(NamedFiles::Files(files), folder) })
    }

    async fn listed(&self) -> Result<&Vec<Candidate>, storage::Error> {
        let list = async || {
            let listed = storage::open_folder(&self.folder, &self.settings)?.list().await?;
            // What lies deeper is in another folder.
            let here = listed.into_iter().filter(|one| !one.name.is_empty() && !one.name.contains('/'));
            let candidate = |one: storage::ListedObject| Candidate {
                path: path_of(&self.folder.join(&one.name)),
                name: one.name,
                size: one.size,
            };
            Ok(here.map(candidate).collect())
        };
        self.listed.get_or_try_init(list).await
    }

    async fn seen(&self, file: &Candidate) -> Result<Seen, storage::Error> {
        if let Some(seen) = self.seen.lock().await.get(&file.path) {
            return Ok(seen.clone());
        }
        let pinned = Pinned::open(storage::open(&self.folder.join(&file.name), &self.settings)?).await?;
        let seen = Seen { pinned, reader: None };
        Ok(self.seen.lock().await.entry(file.path.clone()).or_insert(seen).clone())
    }

    /// The version of `file` that was looked at, or that is there now.
    pub(super) async fn pinned(&self, file: &Candidate) -> Result<Pinned, storage::Error> {
        Ok(self.seen(file).await?.pinned)
    }

    /// Those of `paths` that were looked at.
    pub(super) async fn pinned_of(&self, paths: &[PathBuf]) -> Vec<Pinned> {
        let seen = self.seen.lock().await;
        paths.iter().filter_map(|path| seen.get(path)).map(|seen| seen.pinned.clone()).collect()
    }

    /// The object that was named, which is of no set, opened.
    ///
    /// # Errors
    /// There is none, or it is not a bundle.
    pub(super) async fn alone(&self, read: &ReadSettings) -> Result<(Pinned, Reader), Error> {
        let seen = match &self.asked {
            NamedFiles::Files(files) if !files.is_empty() => self.seen(&files[0]).await?,
            _ => {
                let pinned = Pinned::open(storage::open(&self.folder, &self.settings)?).await?;
                Seen { pinned, reader: None }
            }
        };
        let reader = match seen.reader {
            Some(reader) => reader,
            None => match pack::reader_on(Arc::new(seen.pinned.clone()), read).await? {
                Some(packed) => packed,
                None => Reader::open_on(Arc::new(seen.pinned.clone())).await?,
            },
        };
        Ok((seen.pinned, reader))
    }
}

/// What messages call it.
fn path_of(location: &Location) -> PathBuf {
    PathBuf::from(location.to_string())
}

#[async_trait]
impl Stack for StorageStack {
    type Error = Error;

    fn asked(&self) -> &NamedFiles {
        &self.asked
    }

    async fn list(&self) -> Result<Vec<Candidate>, Error> {
        Ok(self.listed().await?.clone())
    }

    async fn look(&self, file: &Candidate, known: Option<&Reader>) -> Result<Look, Error> {
        let seen = self.seen(file).await?;
        if let Some(reader) = seen.reader {
            return Ok(Look::Bundle(reader));
        }
        match look_at(Arc::new(seen.pinned), known).await {
            // That it cannot be read now says nothing about what it is.
            Look::Damaged(error @ bundle::Error::File(files::Error::Read { .. })) => Err(error.into()),
            Look::Bundle(reader) => {
                if let Some(seen) = self.seen.lock().await.get_mut(&file.path) {
                    seen.reader = Some(reader.clone());
                }
                Ok(Look::Bundle(reader))
            }
            look => Ok(look),
        }
    }

    async fn read(&self, file: &Candidate, limit: u64) -> Result<Vec<u8>, Error> {
        let pinned = self.seen(file).await?.pinned;
        Ok(pinned.bytes(0..pinned.stat().size.min(limit)).await?.to_vec())
    }

    fn is_far(&self) -> bool {
        true
    }
}
