//! What packing writes: one file, or the volumes of it. Either is put together under names of its own, proven, and published.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    Error, Result,
    frames_file::{FramesFile, WrittenFrame},
    medium::Medium,
    volumes::{MOST_HEAD, VolumeHead, volume_path},
};
use crate::{
    bundle::{self, volume::MAX_VOLUMES},
    files::{self, disk, name, partial::PartialFile, rename::remove},
    oci::{Algorithm, Digest, Hasher},
};

/// The unfinished files of a packed file.
#[derive(Debug)]
pub(super) struct PackOutput {
    /// As it was asked for.
    goal: PathBuf,
    overwrite: bool,
    /// Bytes that a volume may have, where there are to be volumes.
    volume: Option<u64>,
    /// The file, or the volumes: who has the first writes all of them.
    parts: Vec<OutputPart>,
}

/// The packed file, or a volume of it.
#[derive(Debug)]
struct OutputPart {
    partial: PartialFile,
    /// The bytes before the stretch of the packed file: none but in a volume.
    head: Vec<u8>,
    /// Bytes of the stretch.
    length: u64,
}

impl OutputPart {
    const fn new(partial: PartialFile) -> Self {
        Self { partial, head: Vec::new(), length: 0 }
    }

    fn size(&self) -> u64 {
        self.head.len() as u64 + self.length
    }

    /// Whether the file at `path` is what this is.
    fn is_at(&self, path: &Path) -> Result<bool> {
        let file = File::open(path).map_err(Error::read(path))?;
        let size = file.metadata().map_err(Error::read(path))?.len();
        let digest = |file: &File, path: &Path| {
            let hashed = disk::hash_at(file, Algorithm::Sha256, 0, self.size(), &mut Vec::new(), |_| {});
            hashed.map(|hasher| hasher.map(Hasher::finish)).map_err(Error::read(path))
        };
        let own = self.partial.path();
        Ok(size == self.size() && digest(&file, path)? == digest(self.partial.file(), own)?)
    }
}

impl PackOutput {
    /// Where the packed file `goal` grows, or volumes of it of at most `volume` bytes. It is of the bundle `id`.
    ///
    /// # Errors
    /// Something else is under one of the names, or another run writes there.
    pub(super) fn open(goal: &Path, volume: Option<u64>, overwrite: bool, id: &Digest) -> Result<Self> {
        let first = match volume {
            None => PartialFile::open(goal, overwrite)?,
            Some(volume) => {
                if !overwrite {
                    check_names(goal, volume, id)?;
                }
                let first = volume_path(goal, 1);
                PartialFile::open_as(name::partial(&first), &first, true)?
            }
        };
        let first = OutputPart::new(first);
        Ok(Self { goal: goal.to_owned(), overwrite, volume, parts: vec![first] })
    }

    /// The unfinished file that the others are named after.
    pub(super) fn path(&self) -> &Path {
        self.parts[0].partial.path()
    }

    /// Puts `head` and the frames behind it together, `size` bytes in all.
    ///
    /// # Errors
    /// There is no room, or something cannot be written; there would be too many volumes.
    pub(super) fn fill<'f>(
        &mut self,
        bundle: Digest,
        head: &[u8],
        (from, frames): (&FramesFile, impl Iterator<Item = &'f WrittenFrame>),
        size: u64,
    ) -> Result<()> {
        self.cut(size)?;
        let stretch = self.parts[0].length;
        let pack = Digest::sha256(head);
        let mut heads = Vec::new();
        if self.volume.is_some() {
            // A digest takes the same room whatever it is.
            let head = |number| VolumeHead { bundle, digest: pack, number, pack, size, stretch };
            heads = (1..=u32::try_from(self.parts.len()).unwrap_or(u32::MAX)).map(head).collect();
            for (part, head) in self.parts.iter_mut().zip(&heads) {
                part.head = head.write();
            }
        }
        self.check_room()?;
        let mut place = Place { parts: &self.parts, number: 0, at: 0 };
        place.write(head)?;
        for frame in frames {
            place.copy(from, frame)?;
        }
        for (part, mut head) in self.parts.iter_mut().zip(heads) {
            let (file, begin) = (part.partial.file(), part.head.len() as u64);
            let hashed = disk::hash_at(file, Algorithm::Sha256, begin, part.length, &mut Vec::new(), |_| {});
            let hashed = hashed.and_then(|hasher| hasher.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
            head.digest = hashed.map_err(Error::read(part.partial.path()))?.finish();
            part.head = head.write();
            write_at(&part.partial, &part.head, 0)?;
        }
        self.parts.iter().try_for_each(|part| Ok(part.partial.seal(part.size())?))
    }

    /// Opens as many files as `size` bytes take, and says how much of them each has.
    fn cut(&mut self, size: u64) -> Result<()> {
        let Some(volume) = self.volume else {
            self.parts[0].length = size;
            return Ok(());
        };
        let stretch = stretch_of(volume);
        let needed = MOST_HEAD + size.div_ceil(u64::from(MAX_VOLUMES));
        if volume < needed {
            return Err(bundle::Error::VolumeSize { size: volume, needed }.into());
        }
        self.parts.truncate(1);
        for number in 1..=u32::try_from(size.div_ceil(stretch)).unwrap_or(u32::MAX) {
            if number > 1 {
                let goal = volume_path(&self.goal, number);
                // Whether a volume of an earlier run is the same shows when this one is whole.
                let partial = PartialFile::open_as(name::partial(&goal), &goal, true)?;
                self.parts.push(OutputPart::new(partial));
            }
            let begin = u64::from(number - 1) * stretch;
            let part = self.parts.last_mut().expect("there is the first");
            part.length = stretch.min(size - begin);
        }
        Ok(())
    }

    /// Checks that all of it fits, counting what the files occupy already.
    fn check_room(&self) -> Result<()> {
        if let [part] = &self.parts[..] {
            return Ok(part.partial.check_space(part.size())?);
        }
        let (mut total, mut occupied) = (0, 0);
        for part in &self.parts {
            part.partial.check_limit(part.size())?;
            total += part.size();
            occupied += part.partial.occupied()?.min(part.size());
        }
        let folder = name::folder_of(&self.goal);
        let (needed, free) = (total - occupied, disk::free(folder).map_err(Error::read(folder))?);
        if needed > free {
            return Err(files::Error::Space { path: self.goal.clone(), needed, free }.into());
        }
        Ok(())
    }

    /// What reads it, put together.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn medium(&self) -> Result<Medium> {
        let mut medium = Medium::new();
        for part in &self.parts {
            let path = part.partial.path();
            let file = File::open(path).map_err(Error::read(path))?;
            medium.add(file.into(), path.to_owned(), part.head.len() as u64, part.length, None);
        }
        Ok(medium)
    }

    /// Gives the files their names. A packed file in volumes is there when the first of them is, so that one comes last.
    ///
    /// # Errors
    /// Something else is under one of the names, or it cannot be written.
    pub(super) fn publish(mut self) -> Result<Vec<PathBuf>> {
        let volumes = self.parts.len();
        if self.volume.is_some() && self.overwrite {
            remove(self.parts[0].partial.goal()).map_err(Error::write(self.parts[0].partial.goal()))?;
        }
        // The first stays held until all have their names.
        let rest = self.parts.split_off(1);
        for part in rest.iter().chain(&self.parts) {
            let goal = part.partial.goal();
            if self.volume.is_some() && !self.overwrite && goal.exists() {
                if !part.is_at(goal)? {
                    return Err(files::Error::Exists { path: goal.to_owned() }.into());
                }
                remove(part.partial.path()).map_err(Error::write(part.partial.path()))?;
                continue;
            }
            part.partial.give_name(part.size(), self.overwrite)?;
        }
        if self.volume.is_none() {
            return Ok(vec![self.goal]);
        }
        // What an earlier run has left that made more of them.
        for path in (1..=MAX_VOLUMES).skip(volumes).map(|number| volume_path(&self.goal, number)) {
            let is_replaced = self.overwrite && head_at(&path).is_some();
            for path in [Some(name::partial(&path)), is_replaced.then_some(path)].into_iter().flatten() {
                remove(&path).map_err(Error::write(&path))?;
            }
        }
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Ok((1..=number(volumes)).map(|number| volume_path(&self.goal, number)).collect())
    }
}

/// Where in the files the next byte goes.
struct Place<'a> {
    parts: &'a [OutputPart],
    number: usize,
    /// In the stretch.
    at: u64,
}

impl Place<'_> {
    /// Takes room for up to `wanted` bytes: the file, where in it, and how many.
    fn room(&mut self, wanted: u64) -> (&PartialFile, u64, u64) {
        while self.at == self.parts[self.number].length && self.number + 1 < self.parts.len() {
            (self.number, self.at) = (self.number + 1, 0);
        }
        let part = &self.parts[self.number];
        let taken = wanted.min(part.length - self.at);
        let offset = part.head.len() as u64 + self.at;
        self.at += taken;
        (&part.partial, offset, taken)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (partial, offset, taken) = self.room(bytes.len() as u64);
            let (now, later) = bytes.split_at(usize::try_from(taken).unwrap_or(bytes.len()));
            write_at(partial, now, offset)?;
            bytes = later;
        }
        Ok(())
    }

    fn copy(&mut self, from: &FramesFile, frame: &WrittenFrame) -> Result<()> {
        let (mut at, end) = (frame.offset, frame.offset + frame.frame.size);
        while at < end {
            let (partial, offset, taken) = self.room(end - at);
            from.copy_to(at, partial.file(), offset, taken).map_err(Error::write(partial.path()))?;
            at += taken;
        }
        Ok(())
    }
}

fn write_at(partial: &PartialFile, bytes: &[u8], offset: u64) -> Result<()> {
    partial.file().write_all_at(bytes, offset).map_err(Error::write(partial.path()))
}

/// The head of the volume at `path`, if there is one.
fn head_at(path: &Path) -> Option<VolumeHead> {
    let bytes = disk::read_up_to(&File::open(path).ok()?, 0, MOST_HEAD).ok()?;
    VolumeHead::parse(&bytes, path).ok().map(|(head, _)| head)
}

/// The stretch of a packed file that volumes of at most `volume` bytes have.
pub(super) const fn stretch_of(volume: u64) -> u64 {
    volume.saturating_sub(MOST_HEAD)
}

/// Refuses to go on where something stands under the name of a volume that no earlier run can have written.
fn check_names(goal: &Path, volume: u64, id: &Digest) -> Result<()> {
    for path in (1..=MAX_VOLUMES).map(|number| volume_path(goal, number)).filter(|path| path.exists()) {
        if head_at(&path).is_none_or(|head| head.bundle != *id || head.stretch != stretch_of(volume)) {
            return Err(files::Error::Exists { path }.into());
        }
    }
    Ok(())
}
