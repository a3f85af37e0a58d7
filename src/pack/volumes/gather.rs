//! Finding the volumes of a packed file: by any of them or by their folder, in any order, under any names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

use super::{
    super::{Error, Result, medium::Medium},
    MOST_HEAD, VolumeHead, volume_name,
};
use crate::{
    bundle::{
        self,
        random_access::RandomAccess,
        stack::{Candidate, NamedFiles, Near, Stack},
    },
    files::blocking::off_reactor,
    oci::Digest,
};

/// A volume that was found.
#[derive(Clone, Debug)]
struct FoundVolume {
    file: Candidate,
    head: VolumeHead,
    /// Where in the file its stretch begins.
    begin: u64,
}

/// The volumes of one packed file: all of them.
#[derive(Clone, Debug)]
pub(crate) struct PackVolumes {
    /// In their order.
    volumes: Vec<FoundVolume>,
    /// What lies beside them.
    pub(crate) beside: Vec<Candidate>,
}

impl PackVolumes {
    /// Their files, in their order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Candidate> {
        self.volumes.iter().map(|volume| &volume.file)
    }

    /// The head of the first.
    pub(crate) fn head(&self) -> &VolumeHead {
        &self.volumes[0].head
    }

    /// What volume `number` is to be called: as it is, if its name says what it is.
    pub(crate) fn name(&self, number: u32) -> String {
        let first = &self.volumes[0].file.name;
        let name = first.strip_suffix(&volume_name("", 1)).filter(|name| !name.is_empty());
        volume_name(name.unwrap_or("bundle"), number)
    }

    /// The packed file that they are; `open` opens one of them.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) fn join<E>(&self, mut open: impl FnMut(&Candidate) -> Result<RandomAccess, E>) -> Result<Medium, E> {
        let mut medium = Medium::new();
        for FoundVolume { file, head, begin } in &self.volumes {
            medium.add(open(file)?, file.path.clone(), *begin, head.length(), Some(head.digest));
        }
        Ok(medium)
    }

    /// As [`PackVolumes::join`], of files of this machine.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) fn join_files(&self) -> Result<Medium> {
        self.join(|file| Ok(File::open(&file.path).map_err(Error::read(&file.path))?.into()))
    }
}

/// The packed file in volumes of which the file at `path` on this machine is one.
///
/// # Errors
/// It is none, or volumes are missing or damaged.
pub(crate) async fn gather_near(path: &Path) -> Result<PackVolumes> {
    let named = vec![path.to_owned()];
    let near = off_reactor(move || Near::of(&named)).await;
    let found = match &near {
        Some(near) => gather_volumes(near).await?,
        None => None,
    };
    let reason = "it is not a volume of a packed file".to_owned();
    found.unwrap_or_else(|| Err(bundle::Error::Unknown { path: path.to_owned(), reason }.into()))
}

/// The head of the volume that `file` is; `None` if it is something else.
pub(crate) async fn volume_at<S: Stack>(stack: &S, file: &Candidate) -> Result<Option<Result<VolumeHead>>, S::Error> {
    let bytes = stack.read(file, MOST_HEAD).await?;
    Ok(VolumeHead::begins(&bytes).then(|| VolumeHead::parse(&bytes, &file.path).map(|(head, _)| head)))
}

/// The packed file in volumes that was named: by one of them, by several, or by the folder that has no other. `None` where none is.
///
/// # Errors
/// The outer one where nothing can be read. The inner one where volumes are missing, damaged, or of several packed files.
pub(crate) async fn gather_volumes<S: Stack>(stack: &S) -> Result<Option<Result<PackVolumes>>, S::Error> {
    let mut search = Search::default();
    let named = match stack.asked() {
        NamedFiles::Folder(_) => Vec::new(),
        NamedFiles::Files(files) => files.clone(),
    };
    for (at, file) in named.iter().enumerate() {
        let is_volume = search.look(stack, file).await?;
        if at == 0 && !is_volume {
            return Ok(None);
        }
        if let Some(wrong) = search.damaged.pop() {
            return Ok(Some(Err(wrong)));
        }
    }
    let known: BTreeSet<&Path> = named.iter().map(|file| file.path.as_path()).collect();
    let listed = stack.list().await?;
    let is_likely = |file: &&Candidate| !stack.is_far() || file.name.contains(".vol");
    for file in listed.iter().filter(is_likely).filter(|file| !known.contains(file.path.as_path())) {
        search.look(stack, file).await?;
    }
    let folder = match stack.asked() {
        NamedFiles::Folder(path) => path.clone(),
        NamedFiles::Files(files) => files.first().map(|file| file.path.clone()).unwrap_or_default(),
    };
    let first = search.found.first().map(|first| first.head.clone());
    Ok(first.map(|first| search.finish(&first, &folder, !named.is_empty(), listed)))
}

#[derive(Default)]
struct Search {
    found: Vec<FoundVolume>,
    damaged: Vec<Error>,
}

impl Search {
    /// Takes up `file`, if it is a volume, or was one.
    async fn look<S: Stack>(&mut self, stack: &S, file: &Candidate) -> Result<bool, S::Error> {
        let bytes = stack.read(file, MOST_HEAD).await?;
        if !VolumeHead::begins(&bytes) {
            return Ok(false);
        }
        match VolumeHead::parse(&bytes, &file.path) {
            Ok((head, begin)) if begin + head.length() == file.size => {
                self.found.push(FoundVolume { file: file.clone(), head, begin });
            }
            Ok((head, begin)) => self.damaged.push(Error::Length {
                path: file.path.clone(),
                found: file.size,
                expected: begin + head.length(),
            }),
            Err(error) => self.damaged.push(error),
        }
        Ok(true)
    }

    /// The volumes that go with `one`, if all of them are there.
    fn finish(self, one: &VolumeHead, place: &Path, is_named: bool, listed: Vec<Candidate>) -> Result<PackVolumes> {
        let (Self { found, damaged }, set) = (self, one.set());
        let sets: BTreeSet<Digest> = found.iter().map(|volume| volume.head.set()).collect();
        if !is_named && sets.len() > 1 {
            let reason = "it holds volumes of several packed files; name a volume of one".to_owned();
            return Err(bundle::Error::Unknown { path: place.to_owned(), reason }.into());
        }
        let mut volumes: BTreeMap<u32, FoundVolume> = BTreeMap::new();
        for volume in found.into_iter().filter(|volume| volume.head.set() == set) {
            volumes.entry(volume.head.number).or_insert(volume);
        }
        let missing: Vec<u32> = (1..=one.volumes()).filter(|number| !volumes.contains_key(number)).collect();
        let volumes: Vec<FoundVolume> = volumes.into_values().collect();
        if missing.is_empty() {
            return Ok(PackVolumes { volumes, beside: listed });
        }
        // A volume that is there and cannot be read is the better answer.
        if let Some(damaged) = damaged.into_iter().next() {
            return Err(damaged);
        }
        let missing = missing.into_iter().map(|number| expected_name(&volumes[0], number)).collect();
        Err(Error::VolumesMissing { id: one.bundle, missing })
    }
}

/// What volume `number` is called, as far as the name of another one tells.
fn expected_name(other: &FoundVolume, number: u32) -> String {
    let name = other.file.name.strip_suffix(&volume_name("", other.head.number)).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("volume {number}"), |name| volume_name(name, number))
}
