//! What a sender remembers of a series of bundles, for receivers that can say nothing back: the head of each one.
//!
//! A series is a folder in the state, with `series.json` and a head for each bundle that was sent.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    super::{error::Error, opened::Opened},
    base::Bases,
};
use crate::{
    bundle::{self, head},
    files::{lock, name, private, small},
    oci::Digest,
    storage::{Location, Settings},
};

/// The folder of all series in the state.
const FOLDER: &str = "series";

/// The list of a series.
const LIST: &str = "series.json";

/// Bundles of a series that are remembered; older ones count as never sent.
const REMEMBERED: usize = 1000;

/// When bundles are whole, and how much later ones repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cadence {
    /// Every bundle of this number is whole, counted from the first; `None`: only the first.
    pub full_every: Option<u32>,
    /// Bundles in a row that may be lost: a blob is left out once one more than that have carried it.
    pub overlap: u32,
}

/// A bundle that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SentBundle {
    bundle: Digest,
    number: u32,
    seal: Option<Digest>,
    to: String,
    whole: bool,
}

/// A series, held by this run until it is dropped.
#[derive(Debug)]
pub struct Series {
    folder: PathBuf,
    sent: Vec<SentBundle>,
    _lock: fs::File,
}

/// The place of one bundle in its series.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Its number, from 1.
    pub number: u32,
    /// Whether it leaves nothing out.
    pub whole: bool,
    /// What it leaves out by the word of the series.
    pub bases: Bases,
}

impl Series {
    /// Opens the series `name` in the state folder of this user.
    ///
    /// # Errors
    /// It cannot be read or written, or another run has it.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_in(&private::state_folder()?.join(FOLDER).join(Digest::sha256(name.as_bytes()).hex()))
    }

    fn open_in(folder: &Path) -> Result<Self, Error> {
        private::create(folder)?;
        let list = folder.join(LIST);
        let lock = folder.join("lock");
        let write = |source| Error::Io { what: "write", path: lock.clone(), source };
        let file = fs::OpenOptions::new().create(true).append(true).open(&lock).map_err(write)?;
        lock::hold(&file, folder)?;
        let read = |source| Error::Io { what: "read", path: list.clone(), source };
        let sent = match fs::read(&list) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| read(error.into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(read(error)),
        };
        Ok(Self { folder: folder.to_owned(), sent, _lock: file })
    }

    /// The turn of a bundle that goes to `to`. If the last one is still there, it is the same turn again, unless the bundle
    /// there is to be replaced.
    ///
    /// # Errors
    /// A head cannot be read.
    pub async fn turn(
        &mut self,
        to: &Location,
        cadence: Cadence,
        overwrite: bool,
        settings: &Settings,
    ) -> Result<Turn, Error> {
        if let Some(last) = self.sent.last().filter(|last| !overwrite && last.to == to.to_string())
            && is_there(to, last, settings).await
        {
            self.sent.pop();
        }
        let number = self.sent.last().map_or(1, |last| last.number + 1);
        let whole = number == 1 || cadence.full_every.is_some_and(|every| (number - 1).is_multiple_of(every.max(1)));
        let bases = if whole { Bases::default() } else { self.bases(cadence.overlap).await? };
        Ok(Turn { number, whole, bases })
    }

    /// What more than `overlap` bundles have carried since the last whole one.
    async fn bases(&self, overlap: u32) -> Result<Bases, Error> {
        let since = self.sent.iter().rposition(|sent| sent.whole).unwrap_or(0);
        let mut bases = Bases::default();
        let mut carried: HashMap<Digest, u32> = HashMap::new();
        for sent in &self.sent[since..] {
            let path = self.head(sent.number);
            let missing = || bundle::Error::Unknown { path: path.clone(), reason: "it is not a head".to_owned() };
            let contents = head::open(&path).await?.ok_or_else(missing)?;
            for blob in &contents.order()?.blobs {
                *carried.entry(blob.digest).or_default() += 1;
            }
            bases.add_contents(&contents, Some(sent.bundle))?;
        }
        bases.retain(|blob| carried.get(blob).is_some_and(|&times| times > overlap));
        Ok(bases)
    }

    /// Remembers the bundle at `to` as sent in `turn`.
    ///
    /// # Errors
    /// It cannot be read, or the series cannot be written.
    pub async fn note(&mut self, turn: &Turn, to: &Location, settings: &Settings) -> Result<(), Error> {
        let (opened, _) = Opened::survey(to, settings).await?;
        let reader = opened.reader();
        let head = head::encode(reader.contents())?;
        small::publish(&self.head(turn.number), &head, 0o600)?;
        self.sent.push(SentBundle {
            bundle: reader.id(),
            number: turn.number,
            seal: reader.facts().map(bundle::Facts::set_id),
            to: to.to_string(),
            whole: turn.whole,
        });
        let forgotten = self.sent.len().saturating_sub(REMEMBERED);
        let forgotten: Vec<_> = self.sent.drain(..forgotten).collect();
        let list = serde_json::to_vec(&self.sent).map_err(|error| {
            let path = self.folder.join(LIST);
            Error::Io { what: "write", path, source: error.into() }
        })?;
        small::publish(&self.folder.join(LIST), &list, 0o600)?;
        for sent in forgotten {
            // One that stays is not read any more.
            let _ = fs::remove_file(self.head(sent.number));
        }
        Ok(())
    }

    fn head(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:06}.head"))
    }
}

/// The series that bundles at `to` belong to where none is named: the folder, or the part of the storage, that they are in.
pub fn usual_name(to: &Location) -> String {
    match to.path() {
        Some(path) => {
            let folder = name::folder_of(path);
            fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string()
        }
        None => to.split().map_or_else(|| to.to_string(), |(folder, _)| folder.to_string()),
    }
}

/// Whether the bundle of `sent` is still at `to`.
async fn is_there(to: &Location, sent: &SentBundle, settings: &Settings) -> bool {
    let Ok((found, _)) = Opened::survey(to, settings).await else { return false };
    found.reader().facts().map(bundle::Facts::set_id) == sent.seal
}
