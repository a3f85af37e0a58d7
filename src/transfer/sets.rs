//! Sets of volumes by what was named, here or in a storage: one thing that leads to a set, or volumes one by one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{error::Error, storage_stack::StorageStack};
use crate::{
    bundle::{
        self, GatheredSet, Reader, gather, gather_in,
        layout::MARKER_NAME,
        random_access::RandomAccess,
        stack::{Candidate, Look, NamedFiles, Near, Stack},
        volume::{SetManifest, UnsealedSet},
    },
    files::blocking::off_reactor,
    oci::Digest,
    pack::{PackVolumes, PackedFile, ReadSettings, gather_volumes, volume_at},
    storage::{self, Location, Pinned, Settings},
};

/// A set that was found, and the way to its files.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundSet {
    /// What was found of it.
    pub set: GatheredSet,
    /// The storage that it is in, if it is in one.
    pub(super) far: Option<StorageStack>,
}

/// The volumes of a packed file, and the way to them.
#[derive(Debug)]
pub(super) struct FoundPack {
    pub(super) volumes: PackVolumes,
    /// The storage that they are in, if they are in one.
    pub(super) far: Option<StorageStack>,
}

impl FoundPack {
    /// Opens what they are.
    ///
    /// # Errors
    /// One of them cannot be opened, or it is not a sound packed file.
    pub(super) async fn open(&self, read: &ReadSettings) -> Result<PackedFile, Error> {
        let medium = match &self.far {
            None => self.volumes.join_files()?,
            Some(far) => {
                let mut pinned = Vec::new();
                for file in self.volumes.files() {
                    pinned.push(far.pinned(file).await?);
                }
                let mut pinned = pinned.into_iter();
                let open = |_: &Candidate| Ok(RandomAccess::remote(Arc::new(pinned.next().expect("one for each"))));
                self.volumes.join::<Error>(open)?
            }
        };
        Ok(PackedFile::open_in(medium, read.clone()).await?)
    }
}

/// What a place leads to.
pub(super) enum Leads {
    /// A set, or part of one.
    Set(Box<FoundSet>),
    /// The volumes of a packed file.
    Packed(Box<FoundPack>),
    /// An object in a storage that is of no set.
    Object(Box<StorageStack>),
    /// A file or folder here that is of no set.
    Path(PathBuf),
}

/// What `named` leads to: one place, or several volumes of one set.
///
/// # Errors
/// There is nothing; a set is meant, and nothing of it can be read.
pub(super) async fn leads(named: &[Location], settings: &Settings) -> Result<Leads, Error> {
    let paths: Option<Vec<PathBuf>> = named.iter().map(|one| one.path().cloned()).collect();
    if let Some(mut paths) = paths {
        if let [Location::Path(path)] = named
            && !path.exists()
            && let Some(Location::Path(manifest)) = manifest_of(&named[0], settings).await?
        {
            paths = vec![manifest];
        }
        let first = paths.first().cloned().unwrap_or_default();
        if let Some(set) = gather(paths.clone()).await? {
            return Ok(Leads::Set(Box::new(FoundSet { set, far: None })));
        }
        let near = off_reactor(move || if is_readable(&paths) { Near::of(&paths) } else { None }).await;
        let volumes = match &near {
            Some(near) => gather_volumes(near).await?.transpose()?,
            None => None,
        };
        return Ok(volumes.map_or(Leads::Path(first), |volumes| Leads::Packed(FoundPack { volumes, far: None }.into())));
    }
    let far = match StorageStack::of(named, settings).await {
        Err(error) if error.is_not_found() && named.len() == 1 => match manifest_of(&named[0], settings).await? {
            Some(manifest) => StorageStack::of(&[manifest], settings).await?,
            None => return Err(error.into()),
        },
        far => far?,
    };
    if let Some(set) = gather_in(&far).await? {
        return Ok(Leads::Set(Box::new(FoundSet { set, far: Some(far) })));
    }
    Ok(match gather_volumes(&far).await?.transpose()? {
        Some(volumes) => Leads::Packed(FoundPack { volumes, far: Some(far) }.into()),
        None => Leads::Object(Box::new(far)),
    })
}

/// Whether these can be looked into: a pipe or a device would hold us. Blocks.
fn is_readable(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| path.is_file() || path.is_dir() && !path.join(MARKER_NAME).exists())
}

/// The manifest of the set that an export was to write to `place`: the name of the set leads to it, too.
///
/// # Errors
/// Machines still write it.
async fn manifest_of(place: &Location, settings: &Settings) -> Result<Option<Location>, Error> {
    let Some((folder, name)) = place.split() else { return Ok(None) };
    let name = name.strip_suffix(".tar").unwrap_or(&name);
    let manifest = folder.join(&SetManifest::file_name(name));
    if is_there(&manifest, settings).await {
        return Ok(Some(manifest));
    }
    let mark = folder.join(&UnsealedSet::file_name(name));
    if is_there(&mark, settings).await {
        return Err(bundle::Error::Unsealed { path: PathBuf::from(mark.to_string()) }.into());
    }
    Ok(None)
}

/// Whether something is there; that there is nothing at the place itself is the better answer than any failure here.
async fn is_there(place: &Location, settings: &Settings) -> bool {
    match storage::open(place, settings) {
        Ok(object) => object.stat().await.is_ok(),
        Err(_) => false,
    }
}

impl FoundSet {
    /// The set that `named` leads to, whole or not; `None` where it leads to none.
    ///
    /// # Errors
    /// There is nothing; a set is meant, and nothing of it can be read.
    pub async fn of(named: &[Location], settings: &Settings) -> Result<Option<Self>, Error> {
        match leads(named, settings).await? {
            Leads::Set(found) => Ok(Some(*found)),
            Leads::Packed(_) | Leads::Object(_) | Leads::Path(_) => Ok(None),
        }
    }

    /// The objects that it consists of; none of one that is here.
    pub(super) async fn objects(&self) -> Vec<Pinned> {
        match &self.far {
            Some(far) => far.pinned_of(&self.set.files).await,
            None => Vec::new(),
        }
    }
}

/// What was named: something by itself, or several volumes of one set.
#[derive(Debug)]
pub enum NamedInput {
    /// A bundle, a layout or a set.
    One(Location),
    /// Volumes of one set, in the order of naming.
    Volumes(Vec<Location>),
}

impl NamedInput {
    /// What was named, the first of it first.
    pub fn places(&self) -> &[Location] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Volumes(places) => places,
        }
    }
}

/// Puts volumes of one set together that were named one by one.
///
/// # Errors
/// Volumes of different sets were named as if they were one: each of the sets lacks what the others would have to be.
pub async fn sets(locations: &[Location], settings: &Settings) -> Result<Vec<NamedInput>, Error> {
    let mut named: Vec<NamedInput> = Vec::new();
    let mut by_set: Vec<(Digest, usize)> = Vec::new();
    for location in locations {
        let set = match location {
            Location::Path(path) if path.is_file() => set_of_file(path).await,
            Location::Path(_) | Location::Standard => None,
            // One thing that is named alone needs no look.
            _ if locations.len() > 1 => set_of(location, settings).await,
            _ => None,
        };
        let Some(set) = set else {
            named.push(NamedInput::One(location.clone()));
            continue;
        };
        let known = by_set.iter().find(|(other, _)| *other == set).map(|(_, at)| *at);
        if let Some(NamedInput::Volumes(places)) = known.and_then(|at| named.get_mut(at)) {
            places.push(location.clone());
        } else {
            by_set.push((set, named.len()));
            named.push(NamedInput::Volumes(vec![location.clone()]));
        }
    }
    if by_set.len() > 1 {
        check_apart(&named, settings).await?;
    }
    Ok(named)
}

/// The set that the file at `path` is a volume of. What is wrong with it is reported when it is opened to be read.
async fn set_of_file(path: &Path) -> Option<Digest> {
    if Reader::is_bundle(path).unwrap_or(false) {
        return Reader::open(path).await.ok()?.set_id();
    }
    let near = Near::of(&[path.to_owned()])?;
    let NamedFiles::Files(files) = near.asked() else { return None };
    Some(volume_at(&near, files.first()?).await.ok()??.ok()?.set())
}

/// The set that the object at `location` is a volume of.
async fn set_of(location: &Location, settings: &Settings) -> Option<Digest> {
    let far = StorageStack::of(std::slice::from_ref(location), settings).await.ok()?;
    let NamedFiles::Files(files) = far.asked() else { return None };
    match far.look(files.first()?, None).await.ok()? {
        Look::Bundle(reader) => reader.set_id(),
        Look::Damaged(_) => None,
        Look::Other => Some(volume_at(&far, files.first()?).await.ok()??.ok()?.set()),
    }
}

/// Of volumes of several sets, those of a set that is not whole were meant to be of another.
async fn check_apart(named: &[NamedInput], settings: &Settings) -> Result<(), Error> {
    let mut whole: Vec<GatheredSet> = Vec::new();
    let mut wanting: Vec<GatheredSet> = Vec::new();
    for one in named {
        if let NamedInput::Volumes(places) = one
            && let Some(FoundSet { set, .. }) = FoundSet::of(places, settings).await?
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
