//! A set of volumes as one thing to read: volumes are opened each by itself, and joined.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{
    Error, Reader, Result, TarEntry,
    random_access::RandomAccess,
    reader::{Backing, OpenBundle},
    tar_framing,
    volume::{Cut, Piece, volume_name},
    volume_file::{Aside, VolumeFile},
};
use crate::{
    files::{self, blocking::off_reactor, disk, name, open, private, rename::rename},
    oci::{Descriptor, Digest},
};

/// Something of a file of ours that can be hashed and held against what must be there.
#[derive(Clone, Debug)]
pub struct FileCheck {
    /// The blob, or the one that the segment is of.
    pub digest: Digest,
    /// Bytes of the whole blob.
    whole: u64,
    /// Bytes to hash.
    pub size: u64,
    /// The volume whose segment it is; `None` for a whole blob, wherever it lies.
    volume: Option<u32>,
}

impl FileCheck {
    /// Of a blob that lies in one place.
    pub(super) const fn whole(digest: Digest, size: u64) -> Self {
        Self { digest, whole: size, size, volume: None }
    }
}

impl Reader {
    /// How the set is cut that this is of; `None` for what is neither a volume nor a set.
    pub fn cut(&self) -> Option<&Cut> {
        // A layout in a folder may be what somebody unpacked volumes into.
        self.files().first()?;
        self.facts()?.set.as_ref()
    }

    /// The id of the set that this is of.
    pub fn set_id(&self) -> Option<Digest> {
        self.files().first()?;
        Some(self.facts()?.volume.as_ref()?.set)
    }

    /// The volumes that are here, by number, and their files; empty for what is neither a volume nor a set.
    pub fn volumes(&self) -> BTreeMap<u32, &Path> {
        let volumes = self.files().iter().map(|volume| (volume.number, volume.path.as_path()));
        volumes.collect()
    }

    /// The volumes of the set that are not here.
    pub fn missing_volumes(&self) -> Vec<u32> {
        let Some(cut) = self.cut() else { return Vec::new() };
        let here = self.volumes();
        (1..=cut.volumes).filter(|number| !here.contains_key(number)).collect()
    }

    /// Whether this has all of `digest`; nothing is read for it.
    pub fn has(&self, digest: &Digest) -> bool {
        let Some(cut) = self.cut() else { return true };
        let lacking = self.0.lacking.get_or_init(|| {
            let here: BTreeSet<u32> = self.files().iter().map(|volume| volume.number).collect();
            let is_aside = |piece: &Piece| {
                self.0.aside.iter().any(|aside| aside.digest == piece.digest && aside.from == piece.from)
            };
            let missing = cut.pieces.iter().filter(|piece| !here.contains(&piece.volume) && !is_aside(piece));
            missing.map(|piece| piece.digest).collect()
        });
        !lacking.contains(digest)
    }

    /// The volumes that have what is lacking here of `blobs`, in parts or all of it.
    pub fn volumes_with(&self, blobs: &BTreeSet<Digest>) -> BTreeSet<u32> {
        let pieces = self.cut().into_iter().flat_map(|cut| &cut.pieces).filter(|piece| blobs.contains(&piece.digest));
        let here = self.volumes();
        let is_aside =
            |piece: &Piece| self.0.aside.iter().any(|aside| aside.digest == piece.digest && aside.from == piece.from);
        pieces.filter(|piece| !here.contains_key(&piece.volume) && !is_aside(piece)).map(|piece| piece.volume).collect()
    }

    /// Puts the blobs that are cut over volumes together, each in a file without a name in the temporary folder, so that
    /// [`Reader::locate`] finds them. Gives the number of bytes.
    ///
    /// # Errors
    /// The temporary folder has too little room, or something cannot be read or written.
    pub async fn put_together(&self) -> Result<u64> {
        let reader = self.clone();
        off_reactor(move || {
            let order = reader.contents().order()?;
            let is_cut = |blob: &&Descriptor| reader.segments(&blob.digest).len() > 1 && reader.has(&blob.digest);
            let blobs: Vec<&Descriptor> = order.blobs.into_iter().filter(is_cut).collect();
            let needed = blobs.iter().map(|blob| blob.size).sum();
            let folder = std::env::temp_dir();
            let free = disk::free(&folder).map_err(Error::read(&folder))?;
            if needed > free {
                return Err(files::Error::Space { path: folder, needed, free }.into());
            }
            for blob in blobs {
                let file = tempfile::tempfile().map_err(Error::write(&folder))?;
                let mut at = 0;
                for part in reader.0.find_sized(&blob.digest, blob.size)? {
                    let (from, size) = (part.spot.offset, part.spot.size);
                    part.file.carry_over(from, &file, at, size).map_err(Error::write(&folder))?;
                    at += size;
                }
                let mut joined = reader.0.joined.lock().unwrap_or_else(PoisonError::into_inner);
                joined.insert(blob.digest, Arc::new(file));
            }
            Ok(needed)
        })
        .await
    }

    /// Puts the segments of `blobs` that are here aside, into files of their own in `folder`, so that the volumes may be
    /// taken away; what is there already stays. Each is held against its digest.
    ///
    /// # Errors
    /// There is too little room, a segment is damaged, or something cannot be read or written.
    pub async fn put_aside(&self, blobs: &BTreeSet<Digest>, folder: &Path) -> Result<()> {
        let (reader, blobs, folder) = (self.clone(), blobs.clone(), folder.to_owned());
        off_reactor(move || reader.put_aside_now(&blobs, &folder)).await
    }

    fn put_aside_now(&self, blobs: &BTreeSet<Digest>, folder: &Path) -> Result<()> {
        let mut wanted = Vec::new();
        for file in self.files() {
            let places = file.layout.blobs().iter().filter(|place| place.segment.is_some());
            wanted.extend(places.filter(|place| blobs.contains(&place.digest)).map(|place| (file, place)));
        }
        wanted.retain(|(_, place)| {
            let there = fs::metadata(aside_path(folder, &place.digest, place.from()));
            !there.is_ok_and(|meta| meta.len() == place.size())
        });
        if wanted.is_empty() {
            return Ok(());
        }
        private::create(folder)?;
        let needed = wanted.iter().map(|(_, place)| place.size()).sum();
        let free = disk::free(folder).map_err(Error::read(folder))?;
        if needed > free {
            return Err(files::Error::Space { path: folder.to_owned(), needed, free }.into());
        }
        let mut buffer = Vec::new();
        for (file, place) in wanted {
            let digest = place.digest;
            self.check_segment(file, &digest, &mut buffer, |_| {})?;
            let path = aside_path(folder, &digest, place.from());
            let partial = name::partial(&path);
            let goal = open::own(&partial, open::Access::Private)?;
            goal.set_len(0)
                .and_then(|()| file.file.carry_over(place.offset, &goal, 0, place.size()))
                .and_then(|()| goal.sync_all())
                .and_then(|()| rename(&partial, &path, true))
                .map_err(Error::write(&path))?;
        }
        Ok(())
    }

    /// The same with the segments that were put aside in `folder`; those of volumes that are here are not needed. They are
    /// verified with the blob they are of.
    ///
    /// # Errors
    /// A segment that is there cannot be read.
    pub fn with_aside(&self, folder: &Path) -> Result<Self> {
        let Some(cut) = self.cut() else { return Ok(self.clone()) };
        let mut aside = Vec::new();
        for piece in &cut.pieces {
            let path = aside_path(folder, &piece.digest, piece.from);
            let Ok(file) = fs::File::open(&path) else { continue };
            if file.metadata().map_err(Error::read(&path))?.len() == piece.size {
                let file = RandomAccess::from(file);
                aside.push(Aside { digest: piece.digest, from: piece.from, size: piece.size, file });
            }
        }
        let inner = &self.0;
        Ok(Self(Arc::new(OpenBundle {
            path: inner.path.clone(),
            format: inner.format,
            size: inner.size,
            facts: inner.facts.clone(),
            contents: inner.contents.clone(),
            layout: inner.layout.clone(),
            store: Backing::Set(self.files().to_vec()),
            aside,
            joined: Mutex::default(),
            lacking: OnceLock::new(),
        })))
    }

    /// What the volume `number` is called, as far as the names of those that are here tell.
    pub fn volume_name(&self, number: u32) -> String {
        let name = self.files().iter().find_map(|volume| {
            let name = volume.path.file_name()?.to_str()?;
            name.strip_suffix(&volume_name("", volume.number)).filter(|name| !name.is_empty())
        });
        name.map_or_else(|| format!("volume {number}"), |name| volume_name(name, number))
    }

    /// Bytes that the file of volume `number` must have, if it is here.
    pub fn volume_size(&self, number: u32) -> Option<u64> {
        self.files().iter().find(|volume| volume.number == number).map(|volume| volume.layout.total())
    }

    fn files(&self) -> &[VolumeFile] {
        match &self.0.store {
            Backing::Set(volumes) => volumes,
            _ => &[],
        }
    }

    /// Volumes of one set as one bundle, which is called `path`. Of two that are the same volume the first counts.
    ///
    /// # Errors
    /// There are none, or they are not of one set.
    pub fn join(volumes: &[Self], path: &Path) -> Result<Self> {
        let unknown = |reason: &str| Error::Unknown { path: path.to_owned(), reason: reason.to_owned() };
        let first = volumes.first().ok_or_else(|| unknown("there is no volume of a set"))?;
        if first.set_id().is_none() || volumes.iter().any(|volume| volume.set_id() != first.set_id()) {
            return Err(unknown("these are not volumes of one set"));
        }
        let mut files: BTreeMap<u32, VolumeFile> = BTreeMap::new();
        for volume in volumes.iter().flat_map(Self::files) {
            files.entry(volume.number).or_insert_with(|| volume.clone());
        }
        let inner = &first.0;
        Ok(Self(Arc::new(OpenBundle {
            path: path.to_owned(),
            format: inner.format,
            size: files.values().map(|volume| volume.layout.total()).sum(),
            facts: inner.facts.clone(),
            contents: inner.contents.clone(),
            layout: if files.len() == 1 { files.values().next().map(|volume| volume.layout.clone()) } else { None },
            store: Backing::Set(files.into_values().collect()),
            aside: Vec::new(),
            joined: Mutex::default(),
            lacking: OnceLock::new(),
        })))
    }

    /// The same volume, with what all volumes of its set say in memory once: of very many blobs that is most of what is known of a
    /// volume, and a set has up to a thousand.
    pub(crate) fn sharing(self, other: &Self) -> Self {
        if self.set_id().is_none() || self.set_id() != other.set_id() {
            return self;
        }
        let (Some(known), Some(set)) = (other.layout(), other.cut()) else { return self };
        match Arc::try_unwrap(self.0) {
            Ok(mut inner) => {
                inner.contents = other.contents().clone();
                if let Some(facts) = &mut inner.facts {
                    facts.set = Some(set.clone());
                }
                inner.layout = inner.layout.map(|layout| Arc::new(layout.sharing(known)));
                if let (Backing::Set(volumes), Some(layout)) = (&mut inner.store, &inner.layout) {
                    for volume in volumes {
                        volume.layout = Arc::clone(layout);
                    }
                }
                Self(Arc::new(inner))
            }
            Err(shared) => Self(shared),
        }
    }

    /// Everything to hash: each config and layer that is here whole, and each segment of one that is not.
    ///
    /// # Errors
    /// As [`super::Contents::order`].
    pub fn checks(&self) -> Result<Vec<FileCheck>> {
        let blobs = self.contents().order()?.blobs;
        let mut checks = Vec::with_capacity(blobs.len());
        for blob in blobs {
            if self.has(&blob.digest) {
                checks.push(FileCheck::whole(blob.digest, blob.size));
                continue;
            }
            let here = self.files().iter().filter_map(|file| Some((file.number, file.layout.place(&blob.digest)?)));
            checks.extend(here.map(|(number, place)| FileCheck {
                digest: blob.digest,
                whole: blob.size,
                size: place.size(),
                volume: Some(number),
            }));
        }
        Ok(checks)
    }

    /// Runs a check and reports bytes to `each`; returns what is wrong, with the volume it is in. Blocks.
    pub fn run_check(
        &self,
        check: &FileCheck,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(u64),
    ) -> Result<(), Vec<(Option<PathBuf>, Error)>> {
        let digest = check.digest;
        if let Some(number) = check.volume {
            let file = self.files().iter().find(|file| file.number == number);
            return file.map_or(Ok(()), |file| {
                self.check_segment(file, &digest, buffer, each).map_err(|error| vec![(Some(file.path.clone()), error)])
            });
        }
        let Err(error) = self.0.check(digest, check.whole, buffer, &mut each) else { return Ok(()) };
        let files = self.files().iter().filter(|file| file.layout.place(&digest).is_some());
        let files: Vec<&VolumeFile> = files.collect();
        if let [file] = files[..] {
            return Err(vec![(Some(file.path.clone()), error)]);
        }
        // Which of its segments it is: their own digests tell.
        let wrong = files.iter().filter_map(|file| {
            let error = self.check_segment(file, &digest, buffer, |_| {}).err()?;
            Some((Some(file.path.clone()), error))
        });
        let wrong: Vec<_> = wrong.collect();
        Err(if wrong.is_empty() { vec![(None, error)] } else { wrong })
    }

    fn check_segment(
        &self,
        file: &VolumeFile,
        digest: &Digest,
        buffer: &mut Vec<u8>,
        each: impl FnMut(u64),
    ) -> Result<()> {
        let segments = file.layout.blobs().iter().filter(|place| place.segment.is_some());
        let at = segments.clone().position(|place| place.digest == *digest);
        let told = file.layout.facts().volume.as_ref().map(|volume| volume.segments.as_slice()).unwrap_or_default();
        let expected = at.and_then(|at| told.get(at)).ok_or(Error::Missing { digest: *digest })?;
        let found = self.0.planned(&file.file, &file.layout, digest)?.ok_or(Error::Missing { digest: *digest })?;
        self.0.check_parts(&[found], *digest, *expected, buffer, each)
    }

    /// Everything that is wrong with headers, padding and ends, with the volume it is in.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn check_frames(&self) -> Result<Vec<(Option<PathBuf>, Error)>> {
        let mut findings: Vec<_> = self.check_frame()?.into_iter().map(|error| (None, error)).collect();
        for file in self.files() {
            let wrong = tar_framing::check(&file.file, &file.layout, &file.path)?;
            findings.extend(wrong.into_iter().map(|error| (Some(file.path.clone()), error)));
        }
        Ok(findings)
    }

    /// Where the segments of `digest` lie that are here: each volume with the place in it.
    pub fn segments(&self, digest: &Digest) -> Vec<(u32, TarEntry)> {
        let here = self.files().iter().filter_map(|file| Some((file.number, *file.layout.place(digest)?)));
        here.filter(|(_, place)| place.segment.is_some()).collect()
    }
}

/// The file of a segment that was put aside.
fn aside_path(folder: &Path, digest: &Digest, from: u64) -> PathBuf {
    folder.join(format!("{}-{}-{from}", digest.algorithm(), digest.hex()))
}
