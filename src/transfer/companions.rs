//! Files that belong to a bundle and are beside it: recovery data, the statement, signatures of the statement. This file owns
//! their names.
//!
//! A copy takes them along, and removing a bundle removes them. They are found by name: of a file `NAME` they begin with
//! `NAME`, of a set with the set's name or with the file name of its manifest. Which recovery data belongs to a set, its own
//! head says.

pub mod names;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{sets::FoundPack, storage_stack::StorageStack};
use crate::{
    bundle::{
        GatheredSet,
        stack::Candidate,
        volume::{SetManifest, volume_name},
    },
    files::{self, blocking::off_reactor, name::folder_of},
    recovery,
    storage::{self, Location, Pinned, Settings},
    trust::{
        file::{self, FileError},
        signature::SignatureFormat,
    },
};

/// Further signatures of one format that are looked for in a storage, where names are asked for one by one: `.2`, `.3` …
const NUMBERED: std::ops::RangeInclusive<u32> = 2..=16;

/// What a companion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CompanionKind {
    /// Blocks from which damaged files are rebuilt.
    Recovery,
    /// What the sender says about the bundle.
    Statement,
    /// A signature of the statement.
    Signature,
}

/// A file that belongs to a bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Companion {
    /// Its file name.
    pub name: String,
    /// What it is.
    pub kind: CompanionKind,
    /// Its bytes.
    pub size: u64,
    /// The version that was found.
    #[serde(skip)]
    pub(super) pinned: Pinned,
}

impl CompanionKind {
    /// What the file `name` is to a bundle called `bundle`; `None` if it does not belong to it.
    pub fn of(name: &str, bundle: &str) -> Option<Self> {
        let rest = name.strip_prefix(bundle)?;
        if rest == recovery::SUFFIX {
            return Some(Self::Recovery);
        }
        let rest = rest.strip_prefix(names::STATEMENT)?;
        if rest.is_empty() {
            return Some(Self::Statement);
        }
        names::format_of("", rest).map(|_| Self::Signature)
    }
}

impl Companion {
    /// Its bytes, if it is a small file as statements and signatures are. Of this machine, a link is not followed.
    ///
    /// # Errors
    /// The outer one where its storage fails, the inner one where the file is not what it should be.
    pub async fn content(&self) -> Result<Result<Vec<u8>, FileError>, storage::Error> {
        let location = self.pinned.object().location();
        if let Location::Path(path) = location {
            let path = path.clone();
            return Ok(off_reactor(move || file::read_companion(&path)).await);
        }
        if self.size > file::LIMIT {
            let path = PathBuf::from(&self.name);
            return Ok(Err(FileError::TooLarge { path, size: self.size, limit: file::LIMIT }));
        }
        Ok(Ok(self.pinned.bytes(0..self.size).await?.to_vec()))
    }

    /// What it is called beside a bundle that is called `new` and was called `old`.
    pub(super) fn renamed(&self, old: &str, new: &str) -> String {
        format!("{new}{}", self.name.strip_prefix(old).unwrap_or(&self.name))
    }
}

/// The companions of the bundle at `place`, by name.
///
/// # Errors
/// The folder cannot be read, or the storage does not answer. What a storage does not let us see is not there.
pub(super) async fn of_file(place: &Location, settings: &Settings) -> Result<Vec<Companion>, storage::Error> {
    let Some((folder, bundle)) = place.split() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if let Location::Path(path) = &folder {
        let (path, whole) = (path.clone(), bundle.clone());
        for name in off_reactor(move || beside(&path, &whole)).await? {
            found.extend(look(&folder, name, &bundle, settings).await?);
        }
        return Ok(found);
    }
    found.extend(look(&folder, format!("{bundle}{}", recovery::SUFFIX), &bundle, settings).await?);
    let statement = format!("{bundle}{}", names::STATEMENT);
    let Some(first) = look(&folder, statement.clone(), &bundle, settings).await? else { return Ok(found) };
    found.push(first);
    for end in SignatureFormat::ALL.map(SignatureFormat::extension) {
        let labels = std::iter::once(String::new()).chain(NUMBERED.map(|number| format!(".{number}")));
        for label in labels {
            let Some(one) = look(&folder, format!("{statement}{label}{end}"), &bundle, settings).await? else { break };
            found.push(one);
        }
    }
    Ok(found)
}

/// Refuses links beside the bundle at `path` on this machine: a copy would carry what they lead to, which nobody sent.
pub(super) fn refuse_links(path: &Path) -> Result<(), files::Error> {
    let bundle = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = listed(folder_of(path), |name| CompanionKind::of(name, &bundle).is_some()).unwrap_or_default();
    match names.into_iter().map(|name| path.with_file_name(name)).find(|path| path.is_symlink()) {
        Some(path) => Err(files::Error::Link { path }),
        None => Ok(()),
    }
}

/// Names in a folder of this machine that belong to `bundle`, in order.
fn beside(folder: &Path, bundle: &str) -> Result<Vec<String>, storage::Error> {
    Ok(listed(folder, |name| CompanionKind::of(name, bundle).is_some())?)
}

/// The signatures beside the file `signed` on this machine, by name.
pub(super) fn signatures(signed: &Path) -> Result<Vec<(PathBuf, SignatureFormat)>, files::Error> {
    let name = signed.file_name().unwrap_or_default().to_string_lossy();
    let found = listed(folder_of(signed), |beside| names::format_of(&name, beside).is_some())?;
    let with_format = |beside: String| Some((signed.with_file_name(&beside), names::format_of(&name, &beside)?));
    Ok(found.into_iter().filter_map(with_format).collect())
}

/// Names in a folder that are wanted, in order; none where the folder is not there.
fn listed(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, files::Error> {
    let mut names = Vec::new();
    let unreadable = |source| files::Error::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        names.extend(name.to_str().filter(|name| is_wanted(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

async fn look(
    folder: &Location,
    name: String,
    bundle: &str,
    settings: &Settings,
) -> Result<Option<Companion>, storage::Error> {
    let Some(kind) = CompanionKind::of(&name, bundle) else { return Ok(None) };
    match Pinned::open(storage::open(&folder.join(&name), settings)?).await {
        Ok(pinned) => Ok(Some(Companion { name, kind, size: pinned.stat().size, pinned })),
        // A signature may open one object and nothing beside it.
        Err(storage::Error::NotFound { .. } | storage::Error::Permission { .. } | storage::Error::Refused { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The name of a set, which the names of its files begin with.
pub(super) fn name_of(set: &GatheredSet) -> String {
    let of_manifest = set.manifest.as_ref().and_then(|(path, _)| SetManifest::set_name(path.file_name()?.to_str()?));
    let of_volume = set.reader.volume_name(1);
    let of_volume = of_volume.strip_suffix(&volume_name("", 1)).unwrap_or("bundle");
    of_manifest.unwrap_or(of_volume).to_owned()
}

/// The names that the files of a set's volumes are to have.
fn volumes_of(set: &GatheredSet) -> Vec<String> {
    match &set.manifest {
        Some((_, manifest)) => manifest.volumes.iter().map(|file| file.name.clone()).collect(),
        None => set.reader.volumes().into_keys().map(|number| volume_name(&name_of(set), number)).collect(),
    }
}

/// The companions of a set.
///
/// # Errors
/// One of them cannot be read.
pub(super) async fn of_set(
    set: &GatheredSet,
    far: Option<&StorageStack>,
    settings: &Settings,
) -> Result<Vec<Companion>, storage::Error> {
    let (name, volumes) = (name_of(set), volumes_of(set));
    among(&set.beside, &[SetManifest::file_name(&name), name], &volumes, far, settings).await
}

/// The companions of a packed file in volumes.
///
/// # Errors
/// One of them cannot be read.
pub(super) async fn of_volumes(found: &FoundPack, settings: &Settings) -> Result<Vec<Companion>, storage::Error> {
    let volumes: Vec<String> = found.volumes.files().map(|file| file.name.clone()).collect();
    among(&found.volumes.beside, &volumes, &volumes, found.far.as_ref(), settings).await
}

/// Those of `files` that are companions of what has one of `names`, or protect one of `volumes`.
async fn among(
    files: &[Candidate],
    names: &[String],
    volumes: &[String],
    far: Option<&StorageStack>,
    settings: &Settings,
) -> Result<Vec<Companion>, storage::Error> {
    let mut found = Vec::new();
    for file in files {
        let by_name = names.iter().find_map(|name| CompanionKind::of(&file.name, name));
        let may_be = if file.name.ends_with(recovery::SUFFIX) { Some(CompanionKind::Recovery) } else { by_name };
        let Some(kind) = may_be else { continue };
        let pinned = pin(file, far, settings).await?;
        if kind == CompanionKind::Recovery && !protects(&pinned, volumes).await? {
            continue;
        }
        found.push(Companion { name: file.name.clone(), kind, size: file.size, pinned });
    }
    Ok(found)
}

/// The version of a file of a set that is read.
pub(super) async fn pin(
    file: &Candidate,
    far: Option<&StorageStack>,
    settings: &Settings,
) -> Result<Pinned, storage::Error> {
    match far {
        Some(far) => far.pinned(file).await,
        None => Pinned::open(storage::open(&Location::Path(file.path.clone()), settings)?).await,
    }
}

/// Whether a recovery file says that it protects one of `volumes`.
async fn protects(pinned: &Pinned, volumes: &[String]) -> Result<bool, storage::Error> {
    let begin = pinned.bytes(0..pinned.stat().size.min(recovery::BEGIN)).await?;
    let protected = recovery::protected(&begin).unwrap_or_default();
    Ok(volumes.iter().any(|volume| protected.contains(volume)))
}

/// Removes companions, each only if it is the version that was found.
pub(super) async fn remove(companions: &[Companion]) -> Result<(), storage::Error> {
    for companion in companions {
        companion.pinned.delete().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_is_known_by_its_name_and_a_neighbour_is_none() {
        let kind = |name: &str| CompanionKind::of(name, "b.tar");
        assert_eq!(kind("b.tar.recovery"), Some(CompanionKind::Recovery));
        assert_eq!(kind("b.tar.transfer.json"), Some(CompanionKind::Statement));
        for end in ["sigstore.json", "sig", "p7s", "minisig", "2.sig", "alice.sigstore.json"] {
            assert_eq!(kind(&format!("b.tar.transfer.json.{end}")), Some(CompanionKind::Signature), "{end}");
        }
        for name in [
            "b.tar",
            "b.tar.partial",
            "b.tar.recovery.partial",
            "b.tar.transfer.json.partial",
            "b.tar.transfer.json.a.b.sig",
            "b.tar.transfer.json..sig",
            "b.tar.sig",
            "b.tar2.recovery",
            "c.tar.recovery",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }
}
