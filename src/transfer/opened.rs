//! A bundle that was opened where it lies: here, or in a storage, in which case it is read by ranges of the one version
//! that was found.

use std::path::{Path, PathBuf};

use super::error::Error;
use crate::{
    bundle::Reader,
    progress::{Event, Phase, Progress},
    storage::{self, Location, Pinned, Settings},
};

/// An open bundle, and the way back to where it lies.
#[derive(Clone, Debug)]
pub struct Opened {
    reader: Reader,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    Object(Pinned),
}

impl Opened {
    /// Opens the bundle at `location`. Of a bundle of ours in a storage, only the head is read.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is malformed.
    pub async fn open(location: &Location, settings: &Settings) -> Result<Self, Error> {
        if let Location::Path(path) = location {
            return Ok(Self { reader: Reader::open(path).await?, place: Place::Path(path.clone()) });
        }
        let pinned = Pinned::open(storage::open(location, settings)?).await?;
        let reader = Reader::open_on(std::sync::Arc::new(pinned.clone())).await?;
        Ok(Self { reader, place: Place::Object(pinned) })
    }

    /// Opens several, in their order, and tells that this is what the run is at.
    ///
    /// # Errors
    /// Those of the first that cannot be opened.
    pub async fn all(locations: &[Location], settings: &Settings, progress: &Progress) -> Result<Vec<Self>, Error> {
        progress.tell(Event::Phase(Phase::Resolving));
        let mut bundles = Vec::with_capacity(locations.len());
        for location in locations {
            bundles.push(Self::open(location, settings).await?);
        }
        Ok(bundles)
    }

    /// What reads it.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Its path, or its address without secrets.
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Removes it; in a storage only if it is still the one that was opened.
    ///
    /// # Errors
    /// It cannot be removed, or was replaced.
    pub async fn remove(&self) -> Result<(), Error> {
        let path = match &self.place {
            Place::Object(pinned) => return Ok(pinned.delete().await?),
            Place::Path(path) => path,
        };
        let error = |source| Error::Io { what: "remove", path: path.clone(), source };
        if path.is_dir() {
            return tokio::fs::remove_dir_all(path).await.map_err(error);
        }
        tokio::fs::remove_file(path).await.map_err(error)
    }
}
