//! Copying a set of volumes from anywhere to anywhere: each file by itself, proven where it went; what vouches for the set
//! comes last.

mod publish;
mod request;
mod room;

pub use self::request::Request;
use self::{publish::Publication, room::check_room};
use super::{
    companions::{self, Companion, CompanionKind},
    copy::{self, Error},
    relay,
    sets::FoundSet,
    storage_stack::StorageStack,
};
use crate::{
    bundle::{
        self, GatheredSet,
        stack::Candidate,
        volume::{SetFile, volume_name},
    },
    files::{self, blocking::off_reactor, disk},
    oci::{Algorithm, Digest},
    pack::ReadSettings,
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// A set that was copied and proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Where it is.
    pub folder: Location,
    /// The manifest of the set there.
    pub manifest: Location,
    /// How many volumes it has.
    pub volumes: usize,
    /// How many files of recovery data went with them.
    pub recovery: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// Whether all of it was there already, with its manifest.
    pub already_there: bool,
    /// File names of the companions that were copied with it, recovery data too.
    pub companions: Vec<String>,
}

/// A file on its way.
struct FileCopy {
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
pub async fn copy(
    FoundSet { set, far }: FoundSet,
    request: &Request,
    settings: &Settings,
    progress: &Progress,
) -> Result<Report, Error> {
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
    let mut publication = Publication::of(&copying.set, &name, request, settings);
    let was_there = publication.check().await?;
    if let Location::Path(folder) = &request.to {
        check_room(folder, volumes.iter().chain(&beside).map(|one| (one.name.as_str(), one.file.size)))?;
    }
    let (mut bytes, mut reused) = (0, 0);
    for (item, is_volume) in volumes.iter().map(|item| (item, true)).chain(beside.iter().map(|item| (item, false))) {
        let (file, again) = copying.one(item).await?;
        (bytes, reused) = (bytes + file.size, reused + again);
        if is_volume {
            publication.add(file);
        }
    }
    let manifest = publication.publish().await?;
    if request.delete_source {
        companions::remove(&companions).await?;
        copying.remove().await?;
    }
    let recovery = companions.iter().filter(|one| one.kind == CompanionKind::Recovery).count();
    let companions = companions.into_iter().map(|one| one.name).collect();
    let (folder, volumes) = (request.to.clone(), volumes.len());
    let already_there = was_there && reused == bytes;
    Ok(Report { folder, manifest, volumes, recovery, bytes, reused, already_there, companions })
}

struct Copying<'a> {
    set: GatheredSet,
    /// Where the set is, if it is in a storage.
    far: Option<StorageStack>,
    request: &'a Request,
    settings: &'a Settings,
    progress: &'a Progress,
}

impl Copying<'_> {
    /// The set's name, and its volumes, the first of them first.
    fn volumes(&self) -> (String, Vec<FileCopy>) {
        let set = &self.set;
        let name = companions::name_of(set);
        let volumes = set.reader.volumes().into_iter().enumerate().map(|(at, (number, path))| {
            let known = set.manifest.as_ref().map(|(_, manifest)| manifest.volumes[at].clone());
            let new = known.as_ref().map_or_else(|| volume_name(&name, number), |known| known.name.clone());
            let size = set.reader.volume_size(number).unwrap_or_default();
            let old = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            FileCopy { file: Candidate { path: path.to_owned(), name: old, size }, name: new, known }
        });
        let volumes = volumes.collect();
        (name, volumes)
    }

    /// The companions, under their names.
    fn beside(&self, companions: &[Companion]) -> Vec<FileCopy> {
        let is_one = |file: &&Candidate| companions.iter().any(|one| one.name == file.name);
        let copy = |file: &Candidate| FileCopy { file: file.clone(), name: file.name.clone(), known: None };
        self.set.beside.iter().filter(is_one).map(copy).collect()
    }

    /// Copies one file, or finds that an earlier run has; with it the bytes of it that were there.
    async fn one(&self, item: &FileCopy) -> Result<(SetFile, u64), Error> {
        let destination = self.request.to.join(&item.name);
        let there = if self.request.overwrite { None } else { self.there(item, &destination).await? };
        if let Some(file) = there {
            return Ok((file.clone(), file.size));
        }
        let (digest, size, reused) = self.carry(item, &destination).await?;
        // A volume that was relayed was proven by its own seal; it needs its sum only where no manifest says one.
        let digest = match (digest, &item.known) {
            (Some(digest), _) => digest,
            (None, Some(known)) => known.digest,
            (None, None) => relay::hash(&Pinned::open(storage::open(&destination, self.settings)?).await?).await?,
        };
        if item.known.as_ref().is_some_and(|known| known.digest != digest || known.size != size) {
            let reason = format!("it says another SHA-256 of {} than it has, {}", item.name, digest.hex());
            return Err(bundle::Error::SetManifest { path: item.file.path.clone(), reason }.into());
        }
        Ok((SetFile { digest, name: item.name.clone(), size }, reused))
    }

    /// Copies one file: its SHA-256 where that was learnt, its bytes, and those that were there.
    async fn carry(&self, item: &FileCopy, destination: &Location) -> Result<(Option<Digest>, u64, u64), Error> {
        let overwrite = self.request.overwrite;
        if let (None, Location::Path(destination)) = (&self.far, destination) {
            let (source, destination) = (item.file.path.clone(), destination.clone());
            let request = copy::Request { source, destination, overwrite, delete_source: false };
            let report = copy::copy(request, self.progress).await?;
            return Ok((Some(report.digest), report.bytes, report.reused));
        }
        let source = companions::pin(&item.file, self.far.as_ref(), self.settings).await?;
        let request = relay::Request {
            from: source.object().location().clone(),
            to: destination.clone(),
            overwrite,
            delete_source: false,
            trust_checksums: self.request.trust_checksums,
            jobs: self.request.jobs,
            // A set has no packed files.
            read: ReadSettings::default(),
        };
        let report = relay::relay_version(source, &request, self.settings, self.progress).await?;
        if report.bundle.is_some_and(|id| id != self.set.reader.id()) {
            return Err(Error::Changed { path: item.file.path.clone() });
        }
        Ok((report.digest, report.bytes, report.reused))
    }

    /// What an earlier run has copied here and given its name already, if it is the very file.
    async fn there(&self, item: &FileCopy, destination: &Location) -> Result<Option<SetFile>, Error> {
        let Location::Path(path) = destination else {
            // A volume says itself which it is; recovery data is identified by all of its bytes only.
            return if item.known.is_none() { self.there_far(item, destination).await } else { Ok(None) };
        };
        if std::fs::metadata(path).ok().map(|meta| meta.len()) != Some(item.file.size) {
            return Ok(None);
        }
        let expected = match &item.known {
            Some(known) => known.digest,
            None => relay::hash(&companions::pin(&item.file, self.far.as_ref(), self.settings).await?).await?,
        };
        let (path, size) = (path.clone(), item.file.size);
        let found = off_reactor(move || {
            let file = std::fs::File::open(&path).map_err(bundle::Error::read(&path))?;
            let hasher = disk::hash_at(&file, Algorithm::Sha256, 0, size, &mut Vec::new(), |_| {});
            Ok::<_, bundle::Error>(hasher.map_err(bundle::Error::read(&path))?.map(crate::oci::Hasher::finish))
        });
        let is_same = found.await? == Some(expected);
        Ok(is_same.then(|| SetFile { digest: expected, name: item.name.clone(), size }))
    }

    async fn there_far(&self, item: &FileCopy, destination: &Location) -> Result<Option<SetFile>, Error> {
        let found = match Pinned::open(storage::open(destination, self.settings)?).await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        let size = item.file.size;
        if found.stat().size != size {
            return Ok(None);
        }
        let digest = relay::hash(&found).await?;
        let is_same =
            digest == relay::hash(&companions::pin(&item.file, self.far.as_ref(), self.settings).await?).await?;
        Ok(is_same.then(|| SetFile { digest, name: item.name.clone(), size }))
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
