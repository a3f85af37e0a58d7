//! Files side by side, here or elsewhere, among which the volumes of a set may be.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{Error, Reader, Result, random_access::RandomAccess, strict};
use crate::{
    content::ReadAt,
    files::{blocking::off_reactor, name::folder_of},
};

/// Most files of a folder that are looked at.
const FILES: usize = 20_000;

/// A file that may be of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its path, or its address without secrets.
    pub path: PathBuf,
    /// Its name among those beside it.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// What was named.
#[derive(Clone, Debug)]
pub enum NamedFiles {
    /// All that lies in one place.
    Folder(PathBuf),
    /// Files, of which the first says where the others are.
    Files(Vec<Candidate>),
}

/// What the begin of a file shows.
#[derive(Debug)]
pub enum Look {
    /// A sound head of a bundle or a volume.
    Bundle(Reader),
    /// It began as a bundle, and its head is damaged.
    Damaged(Error),
    /// Something else, or nothing.
    Other,
}

/// Where the search for a set looks.
#[async_trait]
pub trait Stack: Send + Sync {
    /// Why it cannot be looked at, as against what is seen being damaged.
    type Error: From<Error> + Send;

    /// What was named.
    fn asked(&self) -> &NamedFiles;

    /// The files of the folder that was named, or of that of the first file.
    async fn list(&self) -> Result<Vec<Candidate>, Self::Error>;

    /// Opens a file, if it is a bundle. What it has in common with `known`, another volume of its set perhaps, is in memory once.
    async fn look(&self, file: &Candidate, known: Option<&Reader>) -> Result<Look, Self::Error>;

    /// The first bytes of a file, at most `limit`.
    async fn read(&self, file: &Candidate, limit: u64) -> Result<Vec<u8>, Self::Error>;

    /// Whether a look takes so long that only files are looked at that seem to be of the set.
    fn is_far(&self) -> bool;

    /// Whether the two are one file.
    fn is_same(&self, a: &Path, b: &Path) -> bool {
        a == b
    }
}

/// What the begin of something shows that lies elsewhere; only its head is read. `known` is as in [`Stack::look`].
pub async fn look_at(from: Arc<dyn ReadAt>, known: Option<&Reader>) -> Look {
    let (path, length) = (PathBuf::from(from.name()), from.size());
    let (medium, known) = (RandomAccess::remote(from), known.cloned());
    off_reactor(move || match strict::is_ours(&medium, length) {
        Ok(false) => Look::Other,
        Ok(true) => {
            let known = known.as_ref().and_then(Reader::known_set);
            Reader::of_tar(path, medium, length, known).map_or_else(Look::Damaged, Look::Bundle)
        }
        Err(error) => Look::Damaged(Error::read(&path)(error)),
    })
    .await
}

/// Files of this machine.
pub(crate) struct Near {
    asked: NamedFiles,
    folder: PathBuf,
}

impl Near {
    /// `None` if nothing was named. Blocks.
    pub(crate) fn of(named: &[PathBuf]) -> Option<Self> {
        let first = named.first()?;
        if first.is_dir() {
            return Some(Self { asked: NamedFiles::Folder(first.clone()), folder: first.clone() });
        }
        let files = named.iter().map(|path| candidate(path.clone())).collect();
        Some(Self { asked: NamedFiles::Files(files), folder: folder_of(first).to_owned() })
    }
}

fn candidate(path: PathBuf) -> Candidate {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let size = fs::metadata(&path).map_or(0, |meta| meta.len());
    Candidate { path, name, size }
}

#[async_trait]
impl Stack for Near {
    type Error = Error;

    fn asked(&self) -> &NamedFiles {
        &self.asked
    }

    async fn list(&self) -> Result<Vec<Candidate>> {
        let folder = self.folder.clone();
        off_reactor(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(&folder).map_err(Error::read(&folder))?.take(FILES) {
                let entry = entry.map_err(Error::read(&folder))?;
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    found.push(candidate(entry.path()));
                }
            }
            // Folders are listed in any order; the message must not depend on it.
            found.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        })
        .await
    }

    async fn look(&self, file: &Candidate, known: Option<&Reader>) -> Result<Look> {
        let (path, known) = (file.path.clone(), known.cloned());
        Ok(off_reactor(move || {
            let Ok(file) = fs::File::open(&path) else { return Look::Other };
            let Ok(length) = file.metadata().map(|meta| meta.len()) else { return Look::Other };
            if !strict::is_ours(&file.into(), length).unwrap_or(false) {
                return Look::Other;
            }
            let known = known.as_ref().and_then(Reader::known_set);
            Reader::open_file(&path, known).map_or_else(Look::Damaged, Look::Bundle)
        })
        .await)
    }

    async fn read(&self, file: &Candidate, limit: u64) -> Result<Vec<u8>> {
        let path = file.path.clone();
        off_reactor(move || {
            let mut bytes = Vec::new();
            let file = fs::File::open(&path).map_err(Error::read(&path))?;
            file.take(limit).read_to_end(&mut bytes).map_err(Error::read(&path))?;
            Ok(bytes)
        })
        .await
    }

    fn is_far(&self) -> bool {
        false
    }

    fn is_same(&self, a: &Path, b: &Path) -> bool {
        matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
    }
}
