//! A bundle that was opened where it lies: here, or in a storage, in which case it is read by ranges of the one version
//! that was found.

use std::path::{Path, PathBuf};

use super::{
    companions::{self, Companion},
    error::Error,
    sets::{FoundSet, Leads, leads, sets},
};
use crate::{
    bundle::{GatheredSet, Reader},
    pack::{self, BundleBase, ReadSettings},
    progress::{Event, Phase, Progress},
    storage::{Location, Pinned, Settings},
};

/// An open bundle, and the way back to where it lies.
#[derive(Clone, Debug)]
pub struct Opened {
    reader: Reader,
    place: BundleSource,
    /// What belongs to the set, or to the volumes, where it is one or they are.
    beside: Vec<Companion>,
    /// The volumes of the packed file, in their order.
    volumes: Vec<PathBuf>,
    settings: Settings,
}

#[derive(Clone, Debug)]
enum BundleSource {
    Path(PathBuf),
    Object(Pinned),
    /// Every file of a set.
    Files(Vec<PathBuf>),
    /// Every object of a set.
    Objects(Vec<Pinned>),
}

impl Opened {
    /// Opens the bundle or the set at `location`. Of a bundle of ours in a storage, only the head is read.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is malformed; volumes of a set are missing.
    pub async fn open(location: &Location, settings: &Settings) -> Result<Self, Error> {
        Self::open_read(location, settings, &ReadSettings::default()).await
    }

    /// As [`Opened::open`], where a packed file is read with `read`.
    pub(crate) async fn open_read(
        location: &Location,
        settings: &Settings,
        read: &ReadSettings,
    ) -> Result<Self, Error> {
        match Self::survey_read(std::slice::from_ref(location), settings, read).await? {
            (opened, None) => Ok(opened),
            (opened, Some(set)) => set.whole().map(|_| opened).map_err(Error::from),
        }
    }

    /// Opens several, in their order, and reports that phase.
    ///
    /// # Errors
    /// Those of the first that cannot be opened.
    pub async fn all(locations: &[Location], settings: &Settings, progress: &Progress) -> Result<Vec<Self>, Error> {
        Self::all_read(locations, settings, &ReadSettings::default(), progress).await
    }

    /// As [`Opened::all`], where packed files are read with `read`.
    ///
    /// # Errors
    /// Those of the first that cannot be opened.
    #[doc(hidden)]
    pub async fn all_read(
        locations: &[Location],
        settings: &Settings,
        read: &ReadSettings,
        progress: &Progress,
    ) -> Result<Vec<Self>, Error> {
        progress.tell(Event::Phase(Phase::Resolving));
        let mut bundles = Vec::with_capacity(locations.len());
        for named in sets(locations, settings).await? {
            let (opened, set) = Self::survey_read(named.places(), settings, read).await?;
            if let Some(set) = set {
                set.whole()?;
            }
            bundles.push(opened);
        }
        Ok(bundles)
    }

    /// The layers of the bundles at `locations`, which the receiver of a packed file has; `None` if none is named.
    ///
    /// # Errors
    /// A bundle cannot be opened.
    #[doc(hidden)]
    pub async fn base(
        locations: &[Location],
        settings: &Settings,
        progress: &Progress,
    ) -> Result<Option<BundleBase>, Error> {
        if locations.is_empty() {
            return Ok(None);
        }
        let bundles = Self::all(locations, settings, progress).await?;
        Ok(Some(BundleBase::new(bundles.iter().map(|bundle| bundle.reader().clone()))?))
    }

    /// What a location leads to, also where it is a set of which volumes are missing or wrong.
    ///
    /// # Errors
    /// There is nothing that can be read.
    pub async fn survey(location: &Location, settings: &Settings) -> Result<(Self, Option<GatheredSet>), Error> {
        Self::survey_all(std::slice::from_ref(location), settings).await
    }

    /// As [`Opened::survey`], of one place or several volumes of a set.
    ///
    /// # Errors
    /// There is nothing that can be read.
    pub async fn survey_all(places: &[Location], settings: &Settings) -> Result<(Self, Option<GatheredSet>), Error> {
        Self::survey_read(places, settings, &ReadSettings::default()).await
    }

    /// As [`Opened::survey_all`], where a packed file is read with `read`.
    ///
    /// # Errors
    /// There is nothing that can be read.
    #[doc(hidden)]
    pub async fn survey_read(
        places: &[Location],
        settings: &Settings,
        read: &ReadSettings,
    ) -> Result<(Self, Option<GatheredSet>), Error> {
        let opened = |reader, place| {
            let (beside, volumes) = (Vec::new(), Vec::new());
            Self { reader, place, beside, volumes, settings: settings.clone() }
        };
        match leads(places, settings).await? {
            Leads::Path(path) => {
                let reader = match pack::reader_at(&path, read).await? {
                    Some(packed) => packed,
                    None => Reader::open(&path).await?,
                };
                Ok((opened(reader, BundleSource::Path(path)), None))
            }
            Leads::Object(far) => {
                let (pinned, reader) = far.alone(read).await?;
                Ok((opened(reader, BundleSource::Object(pinned)), None))
            }
            Leads::Packed(found) => {
                let reader = found.open(read).await?.reader().clone();
                let beside = companions::of_volumes(&found, settings).await?;
                let files: Vec<PathBuf> = found.volumes.files().map(|file| file.path.clone()).collect();
                let place = match &found.far {
                    Some(far) => BundleSource::Objects(far.pinned_of(&files).await),
                    None => BundleSource::Files(files.clone()),
                };
                Ok((Self { beside, volumes: files, ..opened(reader, place) }, None))
            }
            Leads::Set(found) => {
                let objects = found.objects().await;
                let beside = companions::of_set(&found.set, found.far.as_ref(), settings).await?;
                let FoundSet { set, far } = *found;
                let files = || BundleSource::Files(set.files.clone());
                let place = if far.is_some() { BundleSource::Objects(objects) } else { files() };
                Ok((Self { beside, ..opened(set.reader.clone(), place) }, Some(set)))
            }
        }
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
        Ok(Self { reader: self.reader.with_aside(folder)?, ..self.clone() })
    }

    /// Its path, or its address without secrets.
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Whether it is in a storage.
    pub const fn is_far(&self) -> bool {
        matches!(self.place, BundleSource::Object(_) | BundleSource::Objects(_))
    }

    /// The volumes, in their order, where it is a packed file that was cut.
    pub(crate) fn pack_volumes(&self) -> &[PathBuf] {
        &self.volumes
    }

    /// The objects of a set that is in a storage, each in the version that was looked at; none of anything else.
    pub fn objects(&self) -> &[Pinned] {
        match &self.place {
            BundleSource::Objects(objects) => objects,
            _ => &[],
        }
    }

    /// The files that belong to it and are beside it.
    ///
    /// # Errors
    /// Its folder cannot be read, or its storage does not answer.
    pub async fn companions(&self) -> Result<Vec<Companion>, Error> {
        Ok(match &self.place {
            BundleSource::Path(path) => companions::of_file(&Location::Path(path.clone()), &self.settings).await?,
            BundleSource::Object(pinned) => companions::of_file(pinned.object().location(), &self.settings).await?,
            BundleSource::Files(_) | BundleSource::Objects(_) => self.beside.clone(),
        })
    }

    /// Removes it and its companions; in a storage only if it is still the one that was opened. The companions go first:
    /// the bundle leads to them, should this be killed on the way.
    ///
    /// # Errors
    /// It cannot be removed, or was replaced.
    pub async fn remove(&self) -> Result<(), Error> {
        companions::remove(&self.companions().await?).await?;
        let path = match &self.place {
            BundleSource::Object(pinned) => return Ok(pinned.delete().await?),
            BundleSource::Objects(objects) => {
                for pinned in objects {
                    pinned.delete().await?;
                }
                return Ok(());
            }
            BundleSource::Files(files) => {
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
            BundleSource::Path(path) => path,
        };
        let error = |source| Error::Io { what: "remove", path: path.clone(), source };
        if path.is_dir() {
            return tokio::fs::remove_dir_all(path).await.map_err(error);
        }
        tokio::fs::remove_file(path).await.map_err(error)
    }
}
