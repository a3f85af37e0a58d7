//! Finding the volumes of a set: by its manifest, by any of them, or by their folder; in any order, under any names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use futures::future::try_join_all;

use super::{
    Error, Reader, Result,
    layout::MARKER_NAME,
    stack::{Candidate, Look, NamedFiles, Near, Stack},
    volume::{SUMS, SetManifest, SetManifestError, UNSEALED_LIMIT, UnsealedSet, volume_name},
};
use crate::{files::blocking::off_reactor, oci::Digest};

/// Largest manifest of a set that is read, in bytes: it has some 150 for each piece.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// Files that are looked at at once.
const AT_ONCE: usize = 8;

/// A set, as far as it was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct GatheredSet {
    /// What reads it; the volumes that are missing are known to it.
    pub reader: Reader,
    /// The manifest, where there is a sound one.
    pub manifest: Option<(PathBuf, SetManifest)>,
    /// Every file of the set that was found, volumes first.
    pub files: Vec<PathBuf>,
    /// What lies beside them and is not a volume: recovery data, perhaps.
    pub beside: Vec<Candidate>,
    /// What is wrong: damaged volumes, volumes of other sets in their place, a manifest that does not go with them.
    pub faults: Vec<(PathBuf, Error)>,
    /// What people should know and is not a fault: doubled and renamed volumes.
    pub notes: Vec<String>,
    /// Whether a single volume was named and no other was found: then it is looked at by itself.
    pub alone: bool,
}

impl GatheredSet {
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

fn expected_name(manifest: &SetManifest, number: u32) -> String {
    let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
    manifest.volumes.get(at).map_or_else(|| format!("volume {number}"), |file| file.name.clone())
}

/// The set that `named` leads to: one folder, manifest or volume of it, or several volumes. `None` where it leads to no
/// set, and so is to be opened as what it is.
///
/// # Errors
/// A set is meant and nothing of it can be read, or a folder holds several.
pub async fn gather(named: Vec<PathBuf>) -> Result<Option<GatheredSet>> {
    match off_reactor(move || Near::of(&named)).await {
        Some(near) => gather_in(&near).await,
        None => Ok(None),
    }
}

/// As [`gather()`], of files wherever they lie.
///
/// # Errors
/// As [`gather()`], and those of the stack.
pub async fn gather_in<S: Stack>(stack: &S) -> Result<Option<GatheredSet>, S::Error> {
    let Some(mut search) = Search::of(stack).await? else { return Ok(None) };
    search.check_sealed(stack).await?;
    let looks = search.look(stack).await?;
    // An ordinary folder is for others to complain about.
    let has_volume = looks.iter().any(|(_, look)| matches!(look, Look::Bundle(reader) if reader.set_id().is_some()));
    if search.wanted.is_none() && !has_volume {
        return Ok(None);
    }
    let named = match stack.asked() {
        NamedFiles::Folder(path) => vec![path.clone()],
        NamedFiles::Files(files) => files.iter().map(|file| file.path.clone()).collect(),
    };
    search.read_sums(stack).await?;
    Ok(search.run(stack, looks, &named).map(Some)?)
}

/// What is known before the volumes are opened.
#[derive(Default)]
struct Search {
    /// Files to look at, those that were named first.
    candidates: Vec<Candidate>,
    /// All that lies in the place.
    listed: Vec<Candidate>,
    manifest: Option<(PathBuf, SetManifest)>,
    /// What the list of sums beside the manifest says.
    sums: Option<(PathBuf, Vec<u8>)>,
    faults: Vec<(PathBuf, Error)>,
    /// The set that is meant, where something says it.
    wanted: Option<Digest>,
    /// Whether a volume was named, rather than the set.
    by_volume: bool,
}

impl Search {
    async fn of<S: Stack>(stack: &S) -> Result<Option<Self>, S::Error> {
        let mut search = Self::default();
        if let NamedFiles::Files(files) = stack.asked() {
            let Some(first) = files.first() else { return Ok(None) };
            if is_manifest_name(&first.name) {
                let manifest = read_manifest(stack, first).await??;
                search.wanted = Some(manifest.set);
                search.manifest = Some((first.path.clone(), manifest));
            } else {
                search.candidates.clone_from(files);
                match stack.look(first).await? {
                    Look::Bundle(reader) if reader.set_id().is_some() => {
                        (search.wanted, search.by_volume) = (reader.set_id(), true);
                    }
                    // A damaged volume is still one if its name says so and others of the set are beside it.
                    Look::Bundle(_) | Look::Damaged(_) if looks_like_a_volume(&first.name) => {}
                    _ => return Ok(None),
                }
            }
        }
        search.listed = stack.list().await?;
        if matches!(stack.asked(), NamedFiles::Folder(_)) && search.listed.iter().any(|file| file.name == MARKER_NAME) {
            return Ok(None);
        }
        search.take_manifest(stack).await?;
        let known: BTreeSet<&Path> = search.candidates.iter().map(|file| file.path.as_path()).collect();
        let is_new = |file: &&Candidate| {
            let is_other = is_manifest_name(&file.name) || file.name == SUMS || is_partial(&file.path);
            !is_other && !known.contains(file.path.as_path()) && (!stack.is_far() || search.is_likely(file))
        };
        let more: Vec<Candidate> = search.listed.iter().filter(is_new).cloned().collect();
        search.candidates.extend(more);
        Ok(Some(search))
    }

    /// Takes up the manifest that lies here, if there is none yet.
    async fn take_manifest<S: Stack>(&mut self, stack: &S) -> Result<(), S::Error> {
        if self.manifest.is_some() {
            return Ok(());
        }
        let mut fitting = Vec::new();
        for file in self.listed.iter().filter(|file| is_manifest_name(&file.name)) {
            match read_manifest(stack, file).await? {
                Ok(manifest) if self.wanted.is_none_or(|set| set == manifest.set) => {
                    fitting.push((file.path.clone(), manifest));
                }
                Ok(_) => {}
                Err(error) => self.faults.push((file.path.clone(), error)),
            }
        }
        // Of a damaged volume that was named, its name says whose it is.
        let of_first = self.candidates.first().map(|file| file.name.as_str());
        let names = |(_, manifest): &(PathBuf, SetManifest)| manifest.files().any(|file| Some(&*file.name) == of_first);
        let at = fitting.iter().position(names);
        if fitting.len() > 1 && self.wanted.is_none() && at.is_none() {
            let path = match stack.asked() {
                NamedFiles::Folder(folder) => folder.clone(),
                NamedFiles::Files(files) => files.first().map(|file| file.path.clone()).unwrap_or_default(),
            };
            let names: Vec<_> = fitting.iter().map(|(path, _)| path.display().to_string()).collect();
            let reason = format!("it holds several sets; name one of them: {}", names.join(", "));
            return Err(Error::Unknown { path, reason }.into());
        }
        if let Some((path, manifest)) = fitting.into_iter().nth(at.unwrap_or(0)) {
            self.wanted = Some(manifest.set);
            self.manifest = Some((path, manifest));
        }
        Ok(())
    }

    /// Checks that the set is not one that several machines still write: then each volume is sound, and the set is not.
    async fn check_sealed<S: Stack>(&self, stack: &S) -> Result<(), S::Error> {
        if self.manifest.is_some() {
            return Ok(());
        }
        for file in self.listed.iter().filter(|file| UnsealedSet::set_name(&file.name).is_some()) {
            let mark = UnsealedSet::parse(&stack.read(file, UNSEALED_LIMIT).await?);
            if self.wanted.is_none() || mark.is_none_or(|mark| Some(mark.set) == self.wanted) {
                return Err(Error::Unsealed { path: file.path.clone() }.into());
            }
        }
        Ok(())
    }

    /// Whether a file is worth a look where each takes its time: by its name, or by a size that a volume of the set has.
    fn is_likely(&self, file: &Candidate) -> bool {
        match &self.manifest {
            None => looks_like_a_volume(&file.name),
            Some((_, manifest)) => manifest.files().any(|known| known.name == file.name || known.size == file.size),
        }
    }

    async fn look<S: Stack>(&mut self, stack: &S) -> Result<Vec<(Candidate, Look)>, S::Error> {
        let mut looks = Vec::new();
        // The first volume that was opened: the others share with it what is the same in all of them.
        let first: OnceLock<Reader> = OnceLock::new();
        let shared = |look| match look {
            Look::Bundle(reader) if reader.set_id().is_some() => {
                let first = first.get_or_init(|| reader.clone());
                Look::Bundle(reader.sharing(first))
            }
            look => look,
        };
        for some in std::mem::take(&mut self.candidates).chunks(AT_ONCE) {
            let looking = some.iter().map(async |file| Ok::<_, S::Error>(shared(stack.look(file).await?)));
            looks.extend(some.iter().cloned().zip(try_join_all(looking).await?));
        }
        Ok(looks)
    }

    async fn read_sums<S: Stack>(&mut self, stack: &S) -> Result<(), S::Error> {
        if self.manifest.is_some()
            && let Some(file) = self.listed.iter().find(|file| file.name == SUMS)
        {
            self.sums = Some((file.path.clone(), stack.read(file, MANIFEST_LIMIT).await?));
        }
        Ok(())
    }

    fn run<S: Stack>(mut self, stack: &S, looks: Vec<(Candidate, Look)>, named: &[PathBuf]) -> Result<GatheredSet> {
        let mut open_ones: Vec<(Candidate, Reader)> = Vec::new();
        let mut damaged: Vec<(PathBuf, Error)> = Vec::new();
        for (file, look) in looks {
            let is_expected = self.is_expected(&file.name);
            match look {
                Look::Bundle(reader) if reader.set_id().is_some() => open_ones.push((file, reader)),
                Look::Damaged(error) if is_expected || looks_like_a_volume(&file.name) => {
                    damaged.push((file.path, error));
                }
                Look::Other if is_expected => {
                    let reason = "it does not begin as a volume does".to_owned();
                    damaged.push((file.path.clone(), Error::Unknown { path: file.path, reason }));
                }
                _ => {}
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
        let mut taken: BTreeMap<u32, (Candidate, Reader)> = BTreeMap::new();
        let (mut notes, mut others) = (Vec::new(), Vec::new());
        for (file, reader) in open_ones {
            if reader.set_id() != wanted {
                others.push((file, reader));
                continue;
            }
            let Some(number) = reader.volumes().keys().next().copied() else { continue };
            match taken.get(&number) {
                Some((first, _)) if stack.is_same(&first.path, &file.path) => {}
                Some((first, _)) => {
                    let (path, first) = (file.path.display(), first.path.display());
                    notes.push(format!("{path} is volume {number} once more; {first} is used"));
                }
                None => drop(taken.insert(number, (file, reader))),
            }
        }
        let is_named = |path: &Path| named.iter().any(|one| stack.is_same(one, path));
        let others = others.into_iter().map(|(file, reader)| (is_named(&file.path), file, reader)).collect();
        self.finish(&taken, others, damaged, notes, named)
    }

    fn is_expected(&self, name: &str) -> bool {
        let Some((_, manifest)) = &self.manifest else { return false };
        manifest.files().any(|file| file.name == name)
    }

    fn finish(
        mut self,
        taken: &BTreeMap<u32, (Candidate, Reader)>,
        others: Vec<(bool, Candidate, Reader)>,
        damaged: Vec<(PathBuf, Error)>,
        mut notes: Vec<String>,
        named: &[PathBuf],
    ) -> Result<GatheredSet> {
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
        for (number, (file, _)) in taken {
            let expected = match &self.manifest {
                Some((_, manifest)) => expected_name(manifest, *number),
                None => reader.volume_name(*number),
            };
            if expected != file.name && !expected.starts_with("volume ") {
                notes.push(format!("{} is volume {number}, which is called {expected}", file.path.display()));
            }
        }
        for (is_named, Candidate { path, name, .. }, other) in others {
            let reason = differs(&reader, &other);
            if is_named || self.is_expected(&name) || takes_the_place(&reader, &name) {
                self.faults.push((path.clone(), Error::VolumeWrong { path, reason }));
            } else {
                notes.push(format!("{} is left aside: {reason}", path.display()));
            }
        }
        let mut files: Vec<PathBuf> = taken.values().map(|(file, _)| file.path.clone()).collect();
        if let Some((path, manifest)) = &self.manifest {
            let own = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let wrong = check_manifest(&reader, manifest).or_else(|| check_sums(self.sums.as_ref(), own, manifest));
            self.faults.extend(wrong.map(|error| (path.clone(), error)));
            let set = SetManifest::set_name(own).unwrap_or_default();
            // What a manifest names is removed with the set one day: nothing that is only said to be of it.
            let is_of = |name: &str| {
                let is_known = name.starts_with(&format!("{set}.")) && self.is_expected(name);
                is_known || name == own || name == SUMS
            };
            let here = self.listed.iter().filter(|file| is_of(&file.name)).map(|file| file.path.clone());
            let here: Vec<PathBuf> = here.chain([path.clone()]).collect();
            for path in here {
                if !files.contains(&path) {
                    files.push(path);
                }
            }
        }
        self.faults.extend(damaged);
        let alone = self.by_volume && taken.len() == 1 && reader.cut().is_some_and(|cut| cut.volumes > 1);
        let beside = self.listed.into_iter().filter(|file| !files.contains(&file.path)).collect();
        Ok(GatheredSet { reader, manifest: self.manifest, files, beside, faults: self.faults, notes, alone })
    }
}

/// Whether a file of that name would stand where one of the set's own volumes does.
fn takes_the_place(reader: &Reader, name: &str) -> bool {
    reader.missing_volumes().into_iter().any(|number| reader.volume_name(number) == name)
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

fn check_manifest(reader: &Reader, manifest: &SetManifest) -> Option<Error> {
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
fn check_sums(sums: Option<&(PathBuf, Vec<u8>)>, own: &str, manifest: &SetManifest) -> Option<Error> {
    let (path, found) = sums?;
    // A list of other files is somebody else's. It is ours if it names two of ours, or one where a name was damaged.
    let text = String::from_utf8_lossy(found);
    let names_ours = text.contains(own) || manifest.files().any(|file| text.contains(&file.name));
    if !names_ours || found == manifest.sums(own).as_bytes() {
        return None;
    }
    let reason = "it does not say what the manifest of the set says".to_owned();
    Some(Error::SetManifest { path: path.clone(), reason })
}

fn is_manifest_name(name: &str) -> bool {
    SetManifest::set_name(name).is_some()
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial" || extension == "journal")
}

/// Whether a name ends as those of volumes do.
fn looks_like_a_volume(name: &str) -> bool {
    let number = name.strip_suffix(".tar").and_then(|name| name.rsplit_once(".vol")).map(|(_, number)| number);
    number.and_then(|number| number.parse().ok()).is_some_and(|number| name.ends_with(&volume_name("", number)))
}

/// The manifest in `file`; the inner error where there is none that can be taken.
async fn read_manifest<S: Stack>(stack: &S, file: &Candidate) -> Result<Result<SetManifest>, S::Error> {
    let text = stack.read(file, MANIFEST_LIMIT).await?;
    let wrong = |error: SetManifestError| Error::SetManifest { path: file.path.clone(), reason: error.to_string() };
    Ok(SetManifest::parse(&text).map_err(wrong))
}
