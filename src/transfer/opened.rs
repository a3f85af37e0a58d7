//! A bundle that was opened where it lies: here, or in a storage, in which case it is read by ranges of the one version
//! that was found.

use std::path::{Path, PathBuf};

use super::error::Error;
use crate::{
    bundle::{self, Gathered, Reader, gather},
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
    /// Every file of a set.
    Files(Vec<PathBuf>),
}

impl Opened {
    /// Opens the bundle at `location`. Of a bundle of ours in a storage, only the head is read.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is malformed.
    pub async fn open(location: &Location, settings: &Settings) -> Result<Self, Error> {
        if let Location::Path(path) = location {
            if let Some(set) = gather(vec![path.clone()]).await? {
                return Ok(set.whole()?.into());
            }
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
        for set in sets(locations).await? {
            bundles.push(match set {
                Named::Volumes(paths) => match gather(paths).await? {
                    Some(set) => set.whole()?.into(),
                    None => continue,
                },
                Named::One(location) => Self::open(&location, settings).await?,
            });
        }
        Ok(bundles)
    }

    /// What a location leads to, also where it is a set of which volumes are missing or wrong.
    ///
    /// # Errors
    /// There is nothing that can be read.
    pub async fn survey(location: &Location, settings: &Settings) -> Result<(Self, Option<Gathered>), Error> {
        let set = match location {
            Location::Path(path) => gather(vec![path.clone()]).await?,
            _ => None,
        };
        match set {
            Some(set) => Ok((Self { reader: set.reader.clone(), place: Place::Files(set.files.clone()) }, Some(set))),
            None => Ok((Self::open(location, settings).await?, None)),
        }
    }

    /// As [`Opened::survey`], of a set of which several volumes were named.
    ///
    /// # Errors
    /// There is nothing that can be read.
    pub async fn survey_volumes(paths: &[PathBuf]) -> Result<(Self, Option<Gathered>), Error> {
        let unknown = || {
            let path = paths.first().cloned().unwrap_or_default();
            bundle::Error::Unknown { path, reason: "there is no volume of a set".to_owned() }
        };
        let set = gather(paths.to_vec()).await?.ok_or_else(unknown)?;
        Ok((Self { reader: set.reader.clone(), place: Place::Files(set.files.clone()) }, Some(set)))
    }

    /// What reads it.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The same with the segments that were put aside in `folder`, see [`Reader::put_aside`].
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn with_aside(&self, folder: &Path) -> Result<Self, Error> {
        Ok(Self { reader: self.reader.with_aside(folder)?, place: self.place.clone() })
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
            Place::Files(files) => {
                // The volumes first: what would vouch for them goes with the last of them. By what was named the rest of the
                // set is found, should this be killed on the way; so that goes last of all.
                let named = self.reader.path();
                let (last, first): (Vec<_>, Vec<_>) = files.iter().partition(|path| path.as_path() == named);
                for path in first.into_iter().chain(last) {
                    let error = |source| Error::Io { what: "remove", path: path.clone(), source };
                    tokio::fs::remove_file(path).await.map_err(error)?;
                }
                return Ok(());
            }
            Place::Path(path) => path,
        };
        let error = |source| Error::Io { what: "remove", path: path.clone(), source };
        if path.is_dir() {
            return tokio::fs::remove_dir_all(path).await.map_err(error);
        }
        tokio::fs::remove_file(path).await.map_err(error)
    }
}

impl From<Gathered> for Opened {
    fn from(set: Gathered) -> Self {
        Self { reader: set.reader, place: Place::Files(set.files) }
    }
}

/// What was named: something by itself, or several volumes of one set.
pub enum Named {
    /// A bundle, a layout or a set.
    One(Location),
    /// Volumes of one set, in the order of naming.
    Volumes(Vec<PathBuf>),
}

/// Puts volumes of one set together that were named one by one.
///
/// # Errors
/// Volumes of different sets were named as if they were one: each of the sets lacks what the others would have to be.
pub async fn sets(locations: &[Location]) -> Result<Vec<Named>, Error> {
    let mut named: Vec<Named> = Vec::new();
    let mut by_set: Vec<(crate::oci::Digest, usize)> = Vec::new();
    for location in locations {
        let set = match location {
            Location::Path(path) if path.is_file() && Reader::is_bundle(path)? => {
                // What is wrong with it is told when it is opened in earnest.
                Reader::open(path).await.ok().and_then(|reader| reader.set_id())
            }
            _ => None,
        };
        let (Some(set), Location::Path(path)) = (set, location) else {
            named.push(Named::One(location.clone()));
            continue;
        };
        let known = by_set.iter().find(|(other, _)| *other == set).map(|(_, at)| *at);
        if let Some(Named::Volumes(paths)) = known.and_then(|at| named.get_mut(at)) {
            paths.push(path.clone());
        } else {
            by_set.push((set, named.len()));
            named.push(Named::Volumes(vec![path.clone()]));
        }
    }
    if by_set.len() > 1 {
        check_apart(&named).await?;
    }
    Ok(named)
}

/// Of volumes of several sets, those of a set that is not whole were meant to be of another.
async fn check_apart(named: &[Named]) -> Result<(), Error> {
    let mut whole: Vec<Gathered> = Vec::new();
    let mut wanting: Vec<Gathered> = Vec::new();
    for one in named {
        if let Named::Volumes(paths) = one
            && let Some(set) = gather(paths.clone()).await?
        {
            if set.missing().is_empty() { whole.push(set) } else { wanting.push(set) }
        }
    }
    wanting.sort_by_key(|set| set.missing().len());
    let mut sets = whole.iter().chain(&wanting);
    let (Some(first), Some(other)) = (sets.next(), wanting.last()) else { return Ok(()) };
    if first.reader.set_id() == other.reader.set_id() {
        return Ok(());
    }
    let path = other.reader.path().to_owned();
    let reason = bundle::gather::differs(&first.reader, &other.reader);
    Err(bundle::Error::VolumeWrong { path, reason }.into())
}
