//! Copying a set of volumes from anywhere to anywhere: each file by itself, proven where it went; what vouches for the set
//! comes last.

use std::path::PathBuf;

use super::{
    super::{
        companions::{self, Companion, CompanionKind},
        documents::StoredDocuments,
        sets::FoundSet,
        storage_stack::StorageStack,
    },
    error::Error,
    file::FileCopy,
    prove::hash,
    report::{CopiedSet, CopyProof, CopyReport},
    request::CopyRequest,
    room::check_room,
};
use crate::{
    bundle::{
        self, GatheredSet,
        stack::Candidate,
        volume::{
            SUMS, SetFile, SetManifest,
            publication::{Publication, SumsFound},
            volume_name,
        },
    },
    files,
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// A file on its way.
struct FileToCopy {
    /// Where it is now.
    file: Candidate,
    /// The name that it is to have.
    name: String,
    /// What the manifest says of it.
    known: Option<SetFile>,
}

/// Copies a whole set, and the recovery data that lies beside it, to where its files have the names that the manifest says,
/// whatever they are called now. Run again after a break it goes on where that one stopped.
///
/// # Errors
/// See [`Error`]; the source is untouched then, and there is no manifest of the set at the destination.
pub(super) async fn copy(
    FoundSet { set, far }: FoundSet,
    request: &CopyRequest,
    settings: &Settings,
    progress: &Progress,
) -> Result<CopyReport, Error> {
    let mut set = set.whole()?;
    if !set.faults.is_empty() {
        return Err(set.faults.remove(0).1.into());
    }
    let copying = Copying { set, far, request, settings, progress };
    let (name, volumes) = copying.volumes();
    let companions = companions::of_set(&copying.set, copying.far.as_ref(), settings).await?;
    let beside = copying.beside(&companions);
    if copying.far.is_none()
        && let Some(link) = beside.iter().map(|one| &one.file.path).find(|path| path.is_symlink())
    {
        return Err(files::Error::Link { path: link.clone() }.into());
    }
    let place = StoredDocuments { folder: &request.to, settings };
    let publication = Publication::new(place, &name);
    let was_there = !request.overwrite && copying.check(&publication, &name).await?;
    if let Location::Path(folder) = &request.to {
        check_room(folder, volumes.iter().chain(&beside).map(|one| (one.name.as_str(), one.file.size)))?;
    }
    let (mut bytes, mut reused, mut files) = (0, 0, Vec::new());
    for item in volumes.iter().chain(&beside) {
        let (file, again) = copying.one(item).await?;
        (bytes, reused) = (bytes + file.size, reused + again);
        files.push(file);
    }
    files.truncate(volumes.len());
    // That nothing else is in their places was looked at before.
    publication.publish(&copying.manifest(files)?, true).await?;
    if request.delete_source {
        companions::remove(&companions).await?;
        copying.remove().await?;
    }
    let recovery = companions.iter().filter(|one| one.kind == CompanionKind::Recovery).count();
    Ok(CopyReport {
        location: request.to.join(&SetManifest::file_name(&name)),
        bytes,
        reused,
        bundle: Some(copying.set.reader.id()),
        file: None,
        already_there: was_there && reused == bytes,
        proof: CopyProof::ReadBack,
        set: Some(CopiedSet { folder: request.to.clone(), volumes: volumes.len(), recovery }),
        companions: companions.into_iter().map(|one| one.name).collect(),
    })
}

struct Copying<'a> {
    set: GatheredSet,
    /// Where the set is, if it is in a storage.
    far: Option<StorageStack>,
    request: &'a CopyRequest,
    settings: &'a Settings,
    progress: &'a Progress,
}

impl Copying<'_> {
    /// The set's name, and its volumes, the first of them first.
    fn volumes(&self) -> (String, Vec<FileToCopy>) {
        let set = &self.set;
        let name = companions::name_of(set);
        let volumes = set.reader.volumes().into_iter().enumerate().map(|(at, (number, path))| {
            let known = set.manifest.as_ref().map(|(_, manifest)| manifest.volumes[at].clone());
            let new = known.as_ref().map_or_else(|| volume_name(&name, number), |known| known.name.clone());
            let size = set.reader.volume_size(number).unwrap_or_default();
            let old = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            FileToCopy { file: Candidate { path: path.to_owned(), name: old, size }, name: new, known }
        });
        let volumes = volumes.collect();
        (name, volumes)
    }

    /// Checks that no other set is in the way, before anything is copied; whether the sums of this one are there.
    async fn check(&self, publication: &Publication<'_, StoredDocuments<'_>>, name: &str) -> Result<bool, Error> {
        let exists = |name: &str| {
            let path = PathBuf::from(self.request.to.join(name).to_string());
            Err(files::Error::Exists { path }.into())
        };
        let (set, ours) = (&self.set.reader, self.set.manifest.as_ref().map(|(_, manifest)| manifest));
        let found = publication.manifest().await?;
        let is_ours = match (&found, ours) {
            (None, _) => true,
            (Some(Ok(found)), Some(ours)) => found == ours,
            (Some(Ok(found)), None) => found.bundle == set.id() && Some(found.set) == set.set_id(),
            (Some(Err(_)), _) => false,
        };
        if !is_ours {
            return exists(&SetManifest::file_name(name));
        }
        // A run that was killed may have written the sums, and all of the set, which is proven once more.
        match publication.sums(ours.or(found.as_ref().and_then(|found| found.as_ref().ok()))).await? {
            SumsFound::Other => exists(SUMS),
            sums => Ok(sums == SumsFound::Ours),
        }
    }

    /// The manifest that the copy gets, of these volumes.
    fn manifest(&self, volumes: Vec<SetFile>) -> Result<SetManifest, Error> {
        let set = &self.set.reader;
        match (&self.set.manifest, set.cut(), set.set_id()) {
            (Some((_, manifest)), ..) => Ok(manifest.clone()),
            (None, Some(cut), Some(id)) => Ok(SetManifest::new(set.id(), id, cut, volumes)),
            _ => Err(Error::NotAFile { path: set.path().to_owned() }),
        }
    }

    /// The companions, under their names.
    fn beside(&self, companions: &[Companion]) -> Vec<FileToCopy> {
        let is_one = |file: &&Candidate| companions.iter().any(|one| one.name == file.name);
        let copy = |file: &Candidate| FileToCopy { file: file.clone(), name: file.name.clone(), known: None };
        self.set.beside.iter().filter(is_one).map(copy).collect()
    }

    /// Copies one file, or finds that an earlier run has; with it the bytes of it that were there.
    async fn one(&self, item: &FileToCopy) -> Result<(SetFile, u64), Error> {
        let destination = self.request.to.join(&item.name);
        let source = companions::pin(&item.file, self.far.as_ref(), self.settings).await?;
        let copy = FileCopy::open(source, &destination, self.request, self.settings, self.progress);
        let CopyReport { bytes: size, reused, bundle, file, .. } = copy.await?.run().await?;
        if bundle.is_some_and(|id| id != self.set.reader.id()) {
            return Err(Error::Changed { path: item.file.path.clone() });
        }
        // A volume that was proven by its own seal needs its sum only where no manifest says one.
        let digest = match (file, &item.known) {
            (Some(digest), _) => digest,
            (None, Some(known)) => known.digest,
            (None, None) => {
                let copied = Pinned::open(storage::open(&destination, self.settings)?).await?;
                hash(&copied, &Progress::silent()).await?
            }
        };
        if item.known.as_ref().is_some_and(|known| known.digest != digest || known.size != size) {
            let reason = format!("it says another SHA-256 of {} than it has, {}", item.name, digest.hex());
            return Err(bundle::Error::SetManifest { path: item.file.path.clone(), reason }.into());
        }
        Ok((SetFile { digest, name: item.name.clone(), size }, reused))
    }

    /// Removes the set at the source.
    async fn remove(&self) -> Result<(), Error> {
        if let Some(far) = &self.far {
            for pinned in far.pinned_of(&self.set.files).await {
                pinned.delete().await?;
            }
            return Ok(());
        }
        for path in &self.set.files {
            std::fs::remove_file(path).map_err(bundle::Error::write(path))?;
        }
        Ok(())
    }
}
