//! The publication of a set: the sums and then the manifest make a set of the volumes beside them. Where these are is a
//! parameter, a folder or a prefix in a storage.

use std::{fs, io, path::Path};

use async_trait::async_trait;

use super::{SUMS, SetManifest, SetManifestError};
use crate::{
    bundle::{Error, Result},
    files::{rename, small},
};

/// A place of small files, which are read and written whole.
#[async_trait]
pub(crate) trait SetDocuments: Sync {
    /// Why the place failed.
    type Error;

    /// The file `name`, if it is there.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Makes the file `name` visible at once and whole; `false` if one is there and `overwrite` is not set.
    async fn put(&self, name: &str, content: Vec<u8>, overwrite: bool) -> Result<bool, Self::Error>;

    /// Removes the file `name`, if it is there.
    async fn remove(&self, name: &str) -> Result<(), Self::Error>;
}

/// The sums in the place of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SumsFound {
    /// There are none.
    None,
    /// They are those of the set, or a run that was killed just before its end has left them; they may be written again.
    Ours,
    /// They are of something else.
    Other,
}

/// The documents that make a set of volumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication<'a, D> {
    place: D,
    /// What the names of the files of the set begin with.
    name: &'a str,
}

impl<'a, D: SetDocuments> Publication<'a, D> {
    /// Those of the set `name` in `place`.
    pub(crate) const fn new(place: D, name: &'a str) -> Self {
        Self { place, name }
    }

    fn own(&self) -> String {
        SetManifest::file_name(self.name)
    }

    /// The manifest that is there, or what is wrong with it.
    pub(crate) async fn manifest(&self) -> Result<Option<Result<SetManifest, SetManifestError>>, D::Error> {
        let text = self.place.read(&self.own()).await?;
        Ok(text.map(|text| SetManifest::parse(&text)))
    }

    /// Whose sums are there: those of the set `known`, or where it is not known, of one whose manifest has this name.
    pub(crate) async fn sums(&self, known: Option<&SetManifest>) -> Result<SumsFound, D::Error> {
        let Some(found) = self.place.read(SUMS).await? else { return Ok(SumsFound::None) };
        let own = self.own();
        let is_ours = match known {
            Some(known) => known.sums(&own).into_bytes() == found,
            None => String::from_utf8_lossy(&found)
                .lines()
                .any(|line| line.split_once("  ").is_some_and(|(_, name)| name == own)),
        };
        Ok(if is_ours { SumsFound::Ours } else { SumsFound::Other })
    }

    /// Removes what vouches for the set that is replaced, and then those of its volumes that the new one does not have.
    pub(crate) async fn dismantle(&self, is_kept: impl Fn(&str) -> bool + Send) -> Result<(), D::Error> {
        let old = self.manifest().await?.and_then(Result::ok);
        self.place.remove(&self.own()).await?;
        self.place.remove(SUMS).await?;
        for file in old.iter().flat_map(SetManifest::files) {
            if file.name.starts_with(self.name) && !is_kept(&file.name) {
                self.place.remove(&file.name).await?;
            }
        }
        Ok(())
    }

    /// Writes the sums of `manifest`, which comes next and last.
    pub(crate) async fn put_sums(&self, manifest: &SetManifest) -> Result<(), D::Error> {
        self.place.put(SUMS, manifest.sums(&self.own()).into_bytes(), true).await.map(drop)
    }

    /// Writes the sums and then the manifest: from then on the set is one. `false` if another manifest is there, and
    /// `overwrite` is not set.
    pub(crate) async fn publish(&self, manifest: &SetManifest, overwrite: bool) -> Result<bool, D::Error> {
        self.put_sums(manifest).await?;
        let (own, text) = (self.own(), manifest.to_json());
        let found = if overwrite { None } else { self.place.read(&own).await? };
        if found.is_none() && self.place.put(&own, text.clone(), overwrite).await? {
            return Ok(true);
        }
        // An earlier run made the same set, or another machine meanwhile.
        let found = if found.is_some() { found } else { self.place.read(&own).await? };
        Ok(found.is_some_and(|found| found == text))
    }
}

/// A folder of this machine. All of it blocks, and nothing waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetFolder<'a>(pub(crate) &'a Path);

#[async_trait]
impl SetDocuments for SetFolder<'_> {
    type Error = Error;

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::read(&path)(error)),
        }
    }

    async fn put(&self, name: &str, content: Vec<u8>, overwrite: bool) -> Result<bool> {
        let path = self.0.join(name);
        if !overwrite {
            return Ok(small::create(&path, &content)?);
        }
        small::publish(&path, &content, small::USUAL)?;
        Ok(true)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let path = self.0.join(name);
        rename::remove(&path).map_err(Error::write(&path))
    }
}
