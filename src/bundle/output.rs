//! Where a run writes to: one file, or the volumes of a set with their manifest and sums.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures::executor::block_on;

use super::{
    Error, Layout, Result,
    blueprint::{Blueprint, FileLayout},
    canvas::{Canvas, position},
    journal::{Journal, JournalLine},
    volume::{
        self, SUMS, SetManifest, Size, VolumeGroup,
        publication::{Publication, SetFolder, SumsFound},
        volume_name,
    },
};
use crate::{
    files::{
        self, disk, name,
        open::check_goal,
        partial::PartialFile,
        rename::{rename, sync_folder},
        small,
    },
    oci::{Algorithm, Digest},
};

/// A bundle that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Where it is; `-` for a stream; of a set its manifest.
    pub path: PathBuf,
    /// Its bytes; of a set those of its volumes.
    pub bytes: u64,
    /// The bundle id.
    pub id: Digest,
}

/// A set of volumes that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Goal {
    /// The folder that its files go into. It must be there.
    pub folder: PathBuf,
    /// What the names of its files begin with.
    pub name: String,
    /// Bytes that a volume may have.
    pub size: Size,
    /// Writes this volume alone; its bytes are the same as when all are written.
    pub only: Option<u32>,
    /// Whether a set of that name may be replaced.
    pub overwrite: bool,
}

/// Where a run writes to.
#[derive(Debug)]
pub(crate) enum Output {
    File {
        path: PathBuf,
        overwrite: bool,
    },
    Set(Goal),
    /// Some volumes of a set, without its manifest and its sums.
    Group(Goal, Arc<VolumeGroup>),
}

impl Output {
    pub(crate) fn file(path: &Path, overwrite: bool) -> Self {
        Self::File { path: path.to_owned(), overwrite }
    }

    pub(crate) const fn set(goal: Goal) -> Self {
        Self::Set(goal)
    }

    pub(crate) const fn group(goal: Goal, group: Arc<VolumeGroup>) -> Self {
        Self::Group(goal, group)
    }

    pub(crate) fn form(&self) -> FileLayout {
        match self {
            Self::File { .. } => FileLayout::Whole,
            Self::Set(goal) => FileLayout::Set { size: goal.size, only: goal.only },
            Self::Group(_, group) => FileLayout::Group(Arc::clone(group)),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::File { path, .. } => name::folder_of(path),
            Self::Set(goal) | Self::Group(goal, _) => &goal.folder,
        }
    }

    const fn overwrite(&self) -> bool {
        match self {
            Self::File { overwrite, .. } => *overwrite,
            Self::Set(goal) | Self::Group(goal, _) => goal.overwrite,
        }
    }

    /// What appears last: the file, or what vouches for the set.
    pub(crate) fn named(&self) -> PathBuf {
        match self {
            Self::Set(goal @ Goal { only: None, .. }) => goal.manifest(),
            Self::Set(Goal { only: Some(number), .. }) => self.volume(*number),
            Self::Group(_, group) => self.volume(group.numbers[0]),
            Self::File { path, .. } => path.clone(),
        }
    }

    pub(crate) fn volume(&self, number: u32) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Set(goal) | Self::Group(goal, _) => goal.folder.join(volume_name(&goal.name, number)),
        }
    }

    /// Opens, creates and locks the partial file of every volume of the plan.
    ///
    /// # Errors
    /// Something is there already, or another run holds one of them; nothing was touched.
    pub(crate) fn open(&self, plan: &Blueprint) -> Result<Canvas> {
        if let Self::Set(goal) = self {
            goal.check_free()?;
            goal.take_back()?;
        }
        let mut files: BTreeMap<u32, PartialFile> = BTreeMap::new();
        for number in self.lockable(plan) {
            match self.open_volume(plan, number) {
                Ok(partial) => drop(files.insert(number, partial)),
                Err(error) => {
                    for partial in files.into_values() {
                        // What stays behind is empty; the error that is reported matters more.
                        let _ = partial.remove_fresh();
                    }
                    return Err(error);
                }
            }
        }
        Ok(Canvas::new(self.folder(), files))
    }

    /// The volumes of the plan, those first that are not there yet: another run that writes the same group holds one of them
    /// until the last has its name.
    fn lockable(&self, plan: &Blueprint) -> Vec<u32> {
        let mut numbers: Vec<u32> = plan.numbers().into_iter().collect();
        if let Self::Group(..) = self {
            numbers.sort_by_key(|&number| (self.volume(number).exists(), number));
        }
        numbers
    }

    /// Opens the partial file of a volume. Of a group that a run was killed on while it gave the names, the volumes that have
    /// theirs become partial files again; all of each is hashed once more.
    fn open_volume(&self, plan: &Blueprint, number: u32) -> Result<PartialFile> {
        let (path, overwrite) = (self.volume(number), self.overwrite());
        let partial = name::partial(&path);
        let layout = plan.volumes().iter().find(|(one, _)| *one == number).map(|(_, layout)| layout);
        if let (Self::Group(..), Some(layout)) = (self, layout)
            && !overwrite
            && !partial.exists()
            && plan.begun_at(number, layout, &path)?.is_some()
        {
            rename(&path, &partial, false).map_err(Error::write(&path))?;
        }
        Ok(PartialFile::open(&path, overwrite)?)
    }

    /// The journal of the run, beside its first partial file, and what it says.
    pub(crate) fn journal(&self, canvas: &Canvas) -> Result<(Journal, Vec<JournalLine>)> {
        let first = canvas.partials().into_values().next();
        let first = first.ok_or_else(|| Error::read(self.folder())(io::ErrorKind::NotFound.into()))?;
        Journal::open(&first.journal(), first.is_fresh())
    }

    /// Opens what an earlier run, whose plan had more volumes, has left beside those of this one.
    pub(crate) fn open_more(&self, canvas: &Canvas, lines: &[JournalLine]) -> Result<()> {
        let Self::Set(Goal { only: None, .. }) = self else { return Ok(()) };
        let places = lines.iter().filter_map(JournalLine::claim).flat_map(|(places, _)| places);
        let last = places.map(|(at, _)| at / position(2, 0)).max().unwrap_or(0);
        for number in (1..)
            .take(usize::try_from(last).unwrap_or(0).saturating_add(1))
            .take_while(|number| *number <= volume::MAX_VOLUMES)
        {
            if name::partial(&self.volume(number)).exists() {
                self.ensure(canvas, number)?;
            }
        }
        Ok(())
    }

    /// Opens the partial file of a volume unless it is open.
    pub(crate) fn ensure(&self, canvas: &Canvas, number: u32) -> Result<()> {
        if canvas.partial(number).is_none() {
            canvas.add(number, PartialFile::open(&self.volume(number), self.overwrite())?);
        }
        Ok(())
    }

    /// Gives everything its final name: all of it is in place and proven.
    pub(crate) fn publish(self, canvas: Canvas, plan: &Blueprint, journal: Journal) -> Result<Finished> {
        let (goal, is_part) = match self {
            Self::Set(goal) => {
                let is_part = goal.only.is_some();
                (goal, is_part)
            }
            Self::Group(goal, _) => (goal, true),
            Self::File { .. } => {
                let (layout, partial) = (plan.first(), canvas.into_partials().into_values().next());
                let partial = partial.ok_or_else(|| Error::Missing { digest: layout.id() })?;
                let path = partial.publish(layout.total())?;
                journal.remove()?;
                return Ok(Finished { path, bytes: layout.total(), id: layout.id() });
            }
        };
        let volumes = goal.seal(&canvas, plan)?;
        let partials = canvas.into_partials();
        let finished = if is_part {
            goal.publish_some(partials, plan, &volumes)?
        } else {
            goal.publish_all(partials, plan, volumes)?
        };
        journal.remove()?;
        Ok(finished)
    }
}

impl Goal {
    /// All volumes of a set, of `size` bytes each at the most; nothing is replaced.
    pub fn new(folder: PathBuf, name: impl Into<String>, size: Size) -> Self {
        Self { folder, name: name.into(), size, only: None, overwrite: false }
    }

    /// Where the manifest of the set is.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join(SetManifest::file_name(&self.name))
    }

    fn publication(&self) -> Publication<'_, SetFolder<'_>> {
        Publication::new(SetFolder(&self.folder), &self.name)
    }

    fn pending(&self) -> PathBuf {
        name::partial(&self.manifest())
    }

    pub(super) fn sums(&self) -> PathBuf {
        self.folder.join(SUMS)
    }

    /// Checks that no set of that name, and no sums, are there that may not be replaced.
    fn check_free(&self) -> Result<()> {
        if self.only.is_some() {
            return Ok(());
        }
        check_goal(&self.manifest(), self.overwrite)?;
        check_goal(&self.sums(), true)?;
        if !self.overwrite && block_on(self.publication().sums(None))? == SumsFound::Other {
            return Err(files::Error::Exists { path: self.sums() }.into());
        }
        Ok(())
    }

    /// What a run that was killed while it gave the final names had published is a partial file again. All of it is
    /// hashed once more, so this trusts nothing.
    fn take_back(&self) -> Result<()> {
        if self.only.is_some() || self.manifest().exists() {
            return Ok(());
        }
        let Some(pending) = read_manifest(&self.pending())? else { return Ok(()) };
        for file in &pending.volumes {
            let path = self.folder.join(&file.name);
            let partial = name::partial(&path);
            let is_that = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == file.size);
            if is_that && !partial.exists() {
                rename(&path, &partial, true).map_err(Error::write(&path))?;
            }
        }
        Ok(())
    }

    /// Writes the digests of segments, brings every volume to the disk, and hashes all of each.
    fn seal(&self, canvas: &Canvas, plan: &Blueprint) -> Result<Vec<volume::SetFile>> {
        let next = AtomicUsize::new(0);
        let sealed = Mutex::new(Vec::new());
        let work = || -> Result<()> {
            let mut buffer = Vec::new();
            while let Some((number, layout)) = plan.volumes().get(next.fetch_add(1, Ordering::Relaxed)) {
                let file = self.seal_one(canvas, plan, *number, layout, &mut buffer)?;
                sealed.lock().unwrap_or_else(PoisonError::into_inner).push((*number, file));
            }
            Ok(())
        };
        let cores = thread::available_parallelism().map_or(1, usize::from).min(plan.volumes().len());
        thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, Result<()>>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().try_for_each(join)
        })?;
        let mut sealed = sealed.into_inner().unwrap_or_else(PoisonError::into_inner);
        sealed.sort_by_key(|(number, _)| *number);
        Ok(sealed.into_iter().map(|(_, file)| file).collect())
    }

    fn seal_one(
        &self,
        canvas: &Canvas,
        plan: &Blueprint,
        number: u32,
        layout: &Layout,
        buffer: &mut Vec<u8>,
    ) -> Result<volume::SetFile> {
        let Some(partial) = canvas.partial(number) else { return Err(Error::Missing { digest: layout.id() }) };
        let path = partial.path();
        let truncated = |place: &super::TarEntry| Error::Missing { digest: place.digest };
        let mut segments = Vec::new();
        for place in layout.blobs().iter().filter(|place| place.segment.is_some()) {
            let at = [(position(number, place.offset), place.size())];
            let hasher = canvas.hash(Algorithm::Sha256, &at, buffer).map_err(Error::read(path))?;
            segments.push(hasher.ok_or_else(|| truncated(place))?.finish());
        }
        if let Some(layout) = plan.sealed(number, segments)? {
            canvas.write_at(&[layout.head()], position(number, 0))?;
        }
        partial.seal(layout.total())?;
        let hasher = disk::hash_at(partial.file(), Algorithm::Sha256, 0, layout.total(), buffer, |_| {});
        let digest = hasher.map_err(Error::read(path))?.map(crate::oci::Hasher::finish);
        let digest = digest.ok_or(Error::Missing { digest: layout.id() })?;
        Ok(volume::SetFile { digest, name: volume_name(&self.name, number), size: layout.total() })
    }

    fn publish_all(
        &self,
        mut partials: BTreeMap<u32, PartialFile>,
        plan: &Blueprint,
        volumes: Vec<volume::SetFile>,
    ) -> Result<Finished> {
        let Some(cut) = plan.cut() else { return Err(Error::Missing { digest: plan.first().id() }) };
        let bytes = volumes.iter().map(|file| file.size).sum();
        let set = plan.first().facts().set_id();
        let manifest = SetManifest::new(plan.first().id(), set, cut, volumes);
        small::write_new(&self.pending(), &manifest.to_json(), small::USUAL)?;
        if self.overwrite {
            block_on(self.publication().dismantle(|name| manifest.files().any(|file| file.name == name)))?;
        }
        for (number, layout) in plan.volumes() {
            if let Some(partial) = partials.remove(number) {
                partial.publish(layout.total())?;
            }
        }
        // Left by a run whose plan had more volumes.
        for partial in partials.into_values() {
            fs::remove_file(partial.path()).map_err(Error::write(partial.path()))?;
        }
        block_on(self.publication().put_sums(&manifest))?;
        // The manifest is there, under its unfinished name.
        let path = self.manifest();
        rename(&self.pending(), &path, true).map_err(Error::write(&path))?;
        sync_folder(&self.folder).map_err(Error::write(&path))?;
        Ok(Finished { path, bytes, id: plan.first().id() })
    }

    /// Publishes some volumes. If the set's manifest is there they must be the volumes that it names.
    fn publish_some(
        &self,
        mut partials: BTreeMap<u32, PartialFile>,
        plan: &Blueprint,
        volumes: &[volume::SetFile],
    ) -> Result<Finished> {
        if let Some(manifest) = read_manifest(&self.manifest())? {
            for ((_, layout), file) in plan.volumes().iter().zip(volumes) {
                self.check_named(&manifest, layout, file)?;
            }
        }
        let (mut first, mut bytes) = (None, 0);
        for (number, layout) in plan.volumes() {
            let missing = || Error::Missing { digest: layout.id() };
            let path = partials.remove(number).ok_or_else(missing)?.publish(layout.total())?;
            first.get_or_insert(path);
            bytes += layout.total();
        }
        let id = plan.first().id();
        Ok(Finished { path: first.ok_or(Error::Missing { digest: id })?, bytes, id })
    }

    /// Checks that the set's manifest names this very volume.
    fn check_named(&self, manifest: &SetManifest, layout: &Layout, file: &volume::SetFile) -> Result<()> {
        if manifest.volumes.iter().any(|known| known == file) {
            return Ok(());
        }
        let (bundle, set) = (manifest.bundle, manifest.set);
        let reason = if bundle != layout.id() {
            let id = layout.id();
            format!("the artifacts have changed since: their bundle id is {id}, that of the set is {bundle}")
        } else if set != layout.facts().set_id() {
            format!("the bundle is cut otherwise than into volumes of {} bytes, as that set is", manifest.size)
        } else {
            format!("the volume has the SHA-256 {}", file.digest.hex())
        };
        Err(Error::NotTheSet { path: self.manifest(), reason })
    }
}

/// The manifest at `path`, if one is there that can be read.
pub(super) fn read_manifest(path: &Path) -> Result<Option<SetManifest>> {
    match fs::read(path) {
        Ok(text) => Ok(SetManifest::parse(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::read(path)(error)),
    }
}
