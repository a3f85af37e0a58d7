//! Finding the recovery data that belongs to what the person named.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Error, Result, SUFFIX,
    head::{ALIGN, Bad, Head, MOST_HEAD},
    space::{Handle, read_or_zeros},
};
use crate::{files::name::folder_of, oci::Digest};

/// A set whose recovery data was found.
#[derive(Clone, Debug)]
pub struct ProtectedSet {
    pub(super) id: Digest,
    pub(super) head: Head,
    /// Where its files are looked for.
    pub(super) folders: Vec<PathBuf>,
}

impl ProtectedSet {
    /// The recovery data of `paths`: folders, or files of the set, which need not be there any more. The files of one set
    /// may lie in several folders.
    ///
    /// # Errors
    /// There is none, it is of several sets, or what there is cannot be taken.
    pub fn find(paths: &[PathBuf]) -> Result<Self> {
        let (mut folders, mut names, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            if path.is_dir() {
                folders.push(path.clone());
            } else {
                folders.push(folder_of(path).to_owned());
                names.extend(path.file_name().map(OsStr::to_owned));
                files.push(path.clone());
            }
        }
        folders.dedup();
        let mut refused = None;
        for folder in &folders {
            files.extend(recovery_files(folder)?);
        }
        let mut sets: BTreeMap<Digest, Head> = BTreeMap::new();
        for file in files {
            match read_head(&file) {
                Ok(Some((head, _))) => drop(sets.insert(head.id(), head)),
                Ok(None) => {}
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        let is_meant = |head: &Head| names.iter().any(|name| head.names().any(|known| OsStr::new(known) == name));
        if sets.values().any(is_meant) {
            sets.retain(|_, head| is_meant(head));
        }
        let looked = paths.first().map_or(Path::new("."), PathBuf::as_path).to_owned();
        let (count, first) = (sets.len(), sets.pop_first());
        match first {
            None => Err(refused.unwrap_or(Error::NotFound { path: looked })),
            Some((id, head)) if count == 1 => Ok(Self { id, head, folders }),
            Some(_) => Err(Error::Several { path: looked, count }),
        }
    }

    /// The id of the set.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// What its heads say.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Whether `path` is one of the protected files, by its name.
    pub fn protects(&self, path: &Path) -> bool {
        self.head.files.iter().any(|file| path.file_name() == Some(OsStr::new(&file.name)))
    }
}

impl Head {
    /// Names of all files of the set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let stores = self.stores.iter().map(|store| store.name.as_str());
        self.files.iter().map(|file| file.name.as_str()).chain(stores)
    }
}

/// Most bytes of a recovery file's begin that [`protected`] needs.
pub const BEGIN: u64 = MOST_HEAD as u64;

/// The names of the files that a recovery file protects whose first bytes these are; `None` without a sound head.
pub fn protected(begin: &[u8]) -> Option<Vec<String>> {
    let (head, _) = Head::parse(begin).ok()?;
    Some(head.files.into_iter().map(|file| file.name).collect())
}

/// The files in `folder` that are recovery files by their names.
fn recovery_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
            found.push(entry.path());
        }
    }
    // Folders are listed in any order; the message must not depend on it.
    found.sort();
    Ok(found)
}

/// Opens `path` if it is a file. Links are followed: what is read is checked, whatever it is.
pub(super) fn open(path: &Path) -> Option<Handle> {
    // A pipe or a device would hold us, or worse.
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let file = is_file.then(|| File::open(path).ok()).flatten()?;
    Some(Handle { path: path.to_owned(), file: Arc::new(file) })
}

/// The head of the recovery file at `path`, from either end; `None` if it has no sound one.
fn read_head(path: &Path) -> Result<Option<(Head, u32)>> {
    let Some(handle) = open(path) else { return Ok(None) };
    let Ok(length) = handle.file.metadata().map(|found| found.len()) else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(MOST_HEAD).min(MOST_HEAD)];
    let mut newer = None;
    let mut take = |bytes: &[u8]| match Head::parse(bytes) {
        Ok(found) => Ok(Some(found)),
        Err(Bad::Damaged) => Ok(None),
        Err(Bad::Version(found)) => {
            newer = Some(found);
            Ok(None)
        }
        Err(Bad::Malformed(reason)) => Err(Error::malformed(path, reason)),
    };
    if read_or_zeros(&handle.file, &mut bytes, 0).is_ok()
        && let Some(found) = take(&bytes)?
    {
        return Ok(Some(found));
    }
    let end = length - bytes.len() as u64;
    if read_or_zeros(&handle.file, &mut bytes, end).is_ok() {
        // Heads are units long, but a file that was cut or grew ends anywhere: the copy at its end counts only in place.
        let mut at = bytes.len() / ALIGN * ALIGN;
        while let Some(before) = at.checked_sub(ALIGN) {
            at = before;
            let skew = bytes.len() % ALIGN;
            if let Some(found) = take(&bytes[at + skew..])? {
                return Ok(Some(found));
            }
        }
    }
    newer.map_or(Ok(None), |found| Err(Error::Version { path: path.to_owned(), found }))
}
