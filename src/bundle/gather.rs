//! Finding the volumes of a set: by its manifest, by any of them, or by their folder; in any order, under any names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{
    Error, Reader, Result,
    disk::{folder_of, off_reactor},
    strict,
    volume::{Manifest, SUMS, volume_name},
};
use crate::oci::Digest;

/// Most files of a folder that are looked at.
const FILES: usize = 20_000;

/// Largest manifest of a set that is read, in bytes: it has some 150 for each piece.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// A set, as far as it was found.
#[derive(Debug)]
pub struct Gathered {
    /// What reads it; the volumes that are missing are known to it.
    pub reader: Reader,
    /// The manifest, where there is a sound one.
    pub manifest: Option<(PathBuf, Manifest)>,
    /// Every file of the set that was found, volumes first.
    pub files: Vec<PathBuf>,
    /// What is wrong: damaged volumes, volumes of other sets in their place, a manifest that does not go with them.
    pub faults: Vec<(PathBuf, Error)>,
    /// What people should know and is no fault: doubled and renamed volumes.
    pub notes: Vec<String>,
    /// Whether a single volume was named and no other was found: then it is looked at by itself.
    pub alone: bool,
}

impl Gathered {
    /// What the missing volumes are called.
    pub fn missing(&self) -> Vec<String> {
        let name = |number: u32| match &self.manifest {
            Some((_, manifest)) => expected_name(manifest, number),
            None => self.reader.volume_name(number),
        };
        self.reader.missing_volumes().into_iter().map(name).collect()
    }

    /// The set, all of it.
    ///
    /// # Errors
    /// Something is missing or wrong.
    pub fn whole(self) -> Result<Self> {
        if let missing @ [_, ..] = &self.missing()[..] {
            // A volume that is there and cannot be read is the better answer.
            let damaged = self.faults.into_iter().next();
            let missing = Error::VolumesMissing { id: self.reader.id(), missing: missing.to_vec() };
            return Err(damaged.map_or(missing, |(_, error)| error));
        }
        Ok(self)
    }
}

fn expected_name(manifest: &Manifest, number: u32) -> String {
    let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
    manifest.volumes.get(at).map_or_else(|| format!("volume {number}"), |file| file.name.clone())
}

/// The set that `named` leads to: one folder, manifest or volume of it, or several volumes. `None` where it leads to no
/// set, and so is to be opened as what it is.
///
/// # Errors
/// A set is meant and nothing of it can be read, or a folder holds several.
pub async fn gather(named: Vec<PathBuf>) -> Result<Option<Gathered>> {
    off_reactor(move || Search::of(&named)?.map(|search| search.run(&named)).transpose()).await
}

/// What is known before the volumes are opened.
struct Search {
    /// Files to look at, those that were named first.
    candidates: Vec<PathBuf>,
    manifest: Option<(PathBuf, Manifest)>,
    faults: Vec<(PathBuf, Error)>,
    /// The set that is meant, where something says it.
    wanted: Option<Digest>,
    /// Whether a volume was named, rather than the set.
    by_volume: bool,
}

impl Search {
    fn of(named: &[PathBuf]) -> Result<Option<Self>> {
        let Some(first) = named.first() else { return Ok(None) };
        let mut search =
            Self { candidates: Vec::new(), manifest: None, faults: Vec::new(), wanted: None, by_volume: false };
        let folder = if first.is_dir() { first.clone() } else { folder_of(first).to_owned() };
        if first.is_dir() {
            if first.join(super::layout::MARKER_NAME).exists() {
                return Ok(None);
            }
        } else if is_manifest_name(first) {
            let manifest = read_manifest(first)?;
            search.wanted = Some(manifest.set);
            search.manifest = Some((first.clone(), manifest));
        } else {
            let volume = if is_ours(first) { open(first).ok() } else { None };
            let Some(set) = volume.as_ref().and_then(Reader::set_id) else {
                // A damaged volume is still one if its name says so and others of the set are beside it.
                return if is_ours(first) && looks_like_a_volume(first) {
                    search.beside(&folder, named)
                } else {
                    Ok(None)
                };
            };
            search.wanted = Some(set);
            search.by_volume = true;
            search.candidates = named.to_vec();
        }
        search.look_into(&folder)?;
        // An ordinary folder is for others to complain about.
        let is_set = search.wanted.is_some() || search.candidates.iter().any(|path| is_volume(path));
        Ok(is_set.then_some(search))
    }

    /// The set of which `named`, which cannot be read itself, seems to be a volume.
    fn beside(mut self, folder: &Path, named: &[PathBuf]) -> Result<Option<Self>> {
        self.candidates = named.to_vec();
        self.look_into(folder)?;
        Ok((self.wanted.is_some() || self.candidates.iter().any(|path| is_volume(path))).then_some(self))
    }

    /// Adds what a folder holds, and takes up its manifest if there is none yet.
    fn look_into(&mut self, folder: &Path) -> Result<()> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).map_err(Error::read(folder))?.take(FILES) {
            let entry = entry.map_err(Error::read(folder))?;
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                found.insert(entry.path());
            }
        }
        let manifests: Vec<&PathBuf> = found.iter().filter(|path| is_manifest_name(path)).collect();
        if self.manifest.is_none() {
            let mut fitting = Vec::new();
            for path in manifests {
                match read_manifest(path) {
                    Ok(manifest) if self.wanted.is_none_or(|set| set == manifest.set) => fitting.push((path, manifest)),
                    Ok(_) => {}
                    Err(error) => self.faults.push((path.clone(), error)),
                }
            }
            if fitting.len() > 1 && self.wanted.is_none() {
                let names: Vec<_> = fitting.iter().map(|(path, _)| path.display().to_string()).collect();
                let reason = format!("it holds several sets; name one of them: {}", names.join(", "));
                return Err(Error::Unknown { path: folder.to_owned(), reason });
            }
            if let Some((path, manifest)) = fitting.into_iter().next() {
                self.wanted = Some(manifest.set);
                self.manifest = Some((path.clone(), manifest));
            }
        }
        let is_other = |path: &PathBuf| is_manifest_name(path) || path.file_name().is_some_and(|name| name == SUMS);
        let known: BTreeSet<PathBuf> = self.candidates.iter().cloned().collect();
        self.candidates.extend(found.into_iter().filter(|path| !is_other(path) && !known.contains(path)));
        Ok(())
    }

    fn run(mut self, named: &[PathBuf]) -> Result<Gathered> {
        let mut open_ones: Vec<(PathBuf, Reader)> = Vec::new();
        let mut damaged: Vec<(PathBuf, Error)> = Vec::new();
        for path in std::mem::take(&mut self.candidates) {
            if is_partial(&path) || !is_ours(&path) {
                if self.is_expected(&path) {
                    let reason = "it does not begin as a volume does".to_owned();
                    damaged.push((path.clone(), Error::Unknown { path, reason }));
                }
                continue;
            }
            match open(&path) {
                Ok(reader) if reader.set_id().is_some() => open_ones.push((path, reader)),
                Err(error) if self.is_expected(&path) || looks_like_a_volume(&path) => damaged.push((path, error)),
                Ok(_) | Err(_) => {}
            }
        }
        let sets: BTreeSet<_> = open_ones.iter().filter_map(|(_, reader)| reader.set_id()).collect();
        if let (Some((path, manifest)), [only]) = (&self.manifest, &sets.iter().copied().collect::<Vec<_>>()[..])
            && manifest.set != *only
        {
            // All volumes agree on what the set is, and the manifest does not: it is to blame.
            let reason = "it says another set than the volumes beside it do".to_owned();
            self.faults.push((path.clone(), Error::SetManifest { path: path.clone(), reason }));
            (self.manifest, self.wanted) = (None, Some(*only));
        }
        let wanted = self.wanted.or_else(|| open_ones.first().and_then(|(_, reader)| reader.set_id()));
        if self.wanted.is_none() && sets.len() > 1 {
            let path = named.first().cloned().unwrap_or_default();
            let reason = "it holds volumes of several sets; name a volume or the manifest of one".to_owned();
            return Err(Error::Unknown { path, reason });
        }
        let mut taken: BTreeMap<u32, (PathBuf, Reader)> = BTreeMap::new();
        let (mut notes, mut others) = (Vec::new(), Vec::new());
        for (path, reader) in open_ones {
            if reader.set_id() != wanted {
                others.push((path, reader));
                continue;
            }
            let Some(number) = reader.volumes().keys().next().copied() else { continue };
            match taken.get(&number) {
                Some((first, _)) if same_file(first, &path) => {}
                Some((first, _)) => {
                    notes.push(format!("{} is volume {number} once more; {} is used", path.display(), first.display()));
                }
                None => drop(taken.insert(number, (path, reader))),
            }
        }
        self.finish(&taken, others, damaged, notes, named)
    }

    fn is_expected(&self, path: &Path) -> bool {
        let Some((_, manifest)) = &self.manifest else { return false };
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| manifest.files().any(|file| file.name == name))
    }

    fn finish(
        mut self,
        taken: &BTreeMap<u32, (PathBuf, Reader)>,
        others: Vec<(PathBuf, Reader)>,
        damaged: Vec<(PathBuf, Error)>,
        mut notes: Vec<String>,
        named: &[PathBuf],
    ) -> Result<Gathered> {
        let path = named.first().cloned().unwrap_or_default();
        let volumes: Vec<Reader> = taken.values().map(|(_, reader)| reader.clone()).collect();
        if volumes.is_empty() {
            if let Some((_, error)) = damaged.into_iter().next() {
                return Err(error);
            }
            return Err(match &self.manifest {
                Some((_, manifest)) => Error::VolumesMissing {
                    id: manifest.bundle,
                    missing: manifest.volumes.iter().map(|file| file.name.clone()).collect(),
                },
                None => Error::Unknown { path, reason: "there is no volume of a set in it".to_owned() },
            });
        }
        let reader = Reader::join(&volumes, &path)?;
        for (number, (path, _)) in taken {
            let expected = match &self.manifest {
                Some((_, manifest)) => expected_name(manifest, *number),
                None => reader.volume_name(*number),
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if expected != name && !expected.starts_with("volume ") {
                notes.push(format!("{} is volume {number}, which is called {expected}", path.display()));
            }
        }
        for (path, other) in others {
            let reason = differs(&reader, &other);
            let is_named = named.iter().any(|one| same_file(one, &path));
            if is_named || self.is_expected(&path) || takes_the_place(&reader, &path) {
                self.faults.push((path.clone(), Error::VolumeWrong { path, reason }));
            } else {
                notes.push(format!("{} is left aside: {reason}", path.display()));
            }
        }
        let mut files: Vec<PathBuf> = taken.values().map(|(path, _)| path.clone()).collect();
        if let Some((path, manifest)) = &self.manifest {
            let wrong = check_manifest(&reader, manifest).or_else(|| check_sums(path, manifest));
            self.faults.extend(wrong.map(|error| (path.clone(), error)));
            let folder = folder_of(path);
            let own = path.file_name().and_then(|name| name.to_str()).and_then(Manifest::set_name).unwrap_or_default();
            // What a manifest names is removed with the set one day: nothing that is only said to be of it.
            let named = manifest.files().filter(|file| file.name.starts_with(&format!("{own}.")));
            let more = named.map(|file| folder.join(&file.name)).filter(|path| !files.contains(path));
            let more: Vec<PathBuf> =
                more.chain([path.clone(), folder.join(SUMS)]).filter(|path| path.exists()).collect();
            files.extend(more);
        }
        self.faults.extend(damaged);
        let alone = self.by_volume && taken.len() == 1 && reader.cut().is_some_and(|cut| cut.volumes > 1);
        Ok(Gathered { reader, manifest: self.manifest, files, faults: self.faults, notes, alone })
    }
}

/// Whether a file of that name would stand where one of the set's own volumes does.
fn takes_the_place(reader: &Reader, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    reader.missing_volumes().into_iter().any(|number| Some(reader.volume_name(number).as_str()) == name)
}

/// In which way the volumes of `other` are not of the set that `reader` is of.
pub(crate) fn differs(reader: &Reader, other: &Reader) -> String {
    let number = other.volumes().keys().next().copied().unwrap_or(0);
    let names = |reader: &Reader| -> BTreeSet<String> {
        reader.index().roots().iter().map(|root| root.reference.to_string()).collect()
    };
    let id = other.id();
    if id == reader.id() {
        let size = other.cut().map_or(0, |cut| cut.size);
        return format!("it is volume {number} of the same bundle cut into volumes of {size} bytes");
    }
    if names(reader) == names(other) {
        return format!("it is volume {number} of an older or newer set of the same artifacts, bundle id {id}");
    }
    format!("it is volume {number} of another set, bundle id {id}")
}

fn check_manifest(reader: &Reader, manifest: &Manifest) -> Option<Error> {
    let cut = reader.cut()?;
    let wrong = |reason: String| Some(Error::SetManifest { path: reader.path().to_owned(), reason });
    let same = manifest.bundle == reader.id() && Some(manifest.set) == reader.set_id();
    if !same || manifest.pieces != cut.pieces || manifest.size != cut.size {
        return wrong("the manifest says another set than its volumes do".to_owned());
    }
    if manifest.volumes.len() as u64 != u64::from(cut.volumes) {
        return wrong(format!("the manifest names {} volumes, the set has {}", manifest.volumes.len(), cut.volumes));
    }
    for (number, file) in (1..).zip(&manifest.volumes) {
        if let Some(size) = reader.volume_size(number).filter(|size| *size != file.size) {
            return wrong(format!("the manifest says {} bytes of {}, which has {size}", file.size, file.name));
        }
    }
    None
}

/// The sums say what the manifest says, and of the manifest itself too: so a change of either is found.
fn check_sums(path: &Path, manifest: &Manifest) -> Option<Error> {
    let sums = folder_of(path).join(SUMS);
    let found = fs::read(&sums).ok()?;
    let own = path.file_name()?.to_str()?;
    // A list of other files is somebody else's. It is ours if it names two of ours, or one where a name was damaged.
    let text = String::from_utf8_lossy(&found);
    let names_ours = text.contains(own) || manifest.files().any(|file| text.contains(&file.name));
    if !names_ours || found == manifest.sums(own).as_bytes() {
        return None;
    }
    Some(Error::SetManifest { path: sums, reason: "it does not say what the manifest of the set says".to_owned() })
}

fn open(path: &Path) -> Result<Reader> {
    Reader::open_file(path)
}

fn is_volume(path: &Path) -> bool {
    is_ours(path) && open(path).is_ok_and(|reader| reader.set_id().is_some())
}

fn is_ours(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let Ok(length) = file.metadata().map(|meta| meta.len()) else { return false };
    strict::is_ours(&file.into(), length).unwrap_or(false)
}

fn is_manifest_name(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).and_then(Manifest::set_name).is_some()
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial" || extension == "journal")
}

/// Whether a name ends as those of volumes do.
fn looks_like_a_volume(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.strip_suffix(".tar").and_then(|name| name.rsplit_once(".vol")).map(|(_, number)| number);
    number.and_then(|number| number.parse().ok()).is_some_and(|number| name.ends_with(&volume_name("", number)))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// The manifest at `path`.
///
/// # Errors
/// There is none, or it is malformed.
pub fn read_manifest(path: &Path) -> Result<Manifest> {
    let file = fs::File::open(path).map_err(Error::read(path))?;
    let mut text = Vec::new();
    file.take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(Error::read(path))?;
    Manifest::parse(&text).map_err(|error| Error::SetManifest { path: path.to_owned(), reason: error.to_string() })
}
