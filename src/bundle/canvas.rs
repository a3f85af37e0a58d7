//! The files that a bundle or a set of volumes grows in, as one space of positions: a volume begins every 256 TiB.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;

use super::{Error, Result, relocate::Shift};
use crate::{
    files::{self, disk, partial::PartialFile},
    oci::{Algorithm, Hasher},
};

/// Bits of a position within a volume. With 15 bits for the volume all of it stays a positive 64-bit number.
const BITS: u32 = 48;

/// Where byte `offset` of volume `number` lies. Of a bundle in one file, volume 1, it is the offset itself.
pub(crate) const fn position(number: u32, offset: u64) -> u64 {
    ((number as u64).saturating_sub(1) << BITS) | offset
}

/// The volume and the offset of a position.
fn apart(at: u64) -> (u32, u64) {
    (u32::try_from(at >> BITS).unwrap_or(u32::MAX).saturating_add(1), at & ((1 << BITS) - 1))
}

/// A stretch of a blob, and where it lies; nowhere in a run that does not write its volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where in the blob it begins.
    pub(crate) from: u64,
    pub(crate) size: u64,
    pub(crate) at: Option<u64>,
}

/// The partial files of a run, by volume.
#[derive(Debug)]
pub(crate) struct Canvas {
    files: RwLock<BTreeMap<u32, Arc<PartialFile>>>,
    /// Where there is room for what moves in circles.
    scratch: RwLock<Option<Arc<File>>>,
    folder: PathBuf,
}

impl Canvas {
    pub(crate) fn new(folder: &Path, files: BTreeMap<u32, PartialFile>) -> Self {
        let files = files.into_iter().map(|(number, partial)| (number, Arc::new(partial))).collect();
        Self { files: RwLock::new(files), scratch: RwLock::default(), folder: folder.to_owned() }
    }

    pub(crate) fn add(&self, number: u32, partial: PartialFile) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(partial));
    }

    pub(crate) fn partials(&self) -> BTreeMap<u32, Arc<PartialFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn partial(&self, number: u32) -> Option<Arc<PartialFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// The files themselves, once writing has ended.
    pub(crate) fn into_partials(self) -> BTreeMap<u32, PartialFile> {
        let files = self.files.into_inner().unwrap_or_else(PoisonError::into_inner);
        files.into_iter().filter_map(|(number, partial)| Some((number, Arc::into_inner(partial)?))).collect()
    }

    /// Checks that volumes of these sizes fit, each and all of them, and reserves their bytes.
    pub(crate) fn reserve(&self, totals: &[(u32, u64)]) -> Result<()> {
        self.check_space(totals)?;
        for (number, total) in totals {
            if let Some(partial) = self.partial(*number) {
                partial.reserve(*total)?;
            }
        }
        Ok(())
    }

    /// Checks that volumes of these sizes fit, counting what they occupy already.
    pub(crate) fn check_space(&self, totals: &[(u32, u64)]) -> Result<()> {
        self.compare_space(totals).inspect_err(|_| {
            // What this run created is removed again; the error that is reported matters more than one of removing it.
            for partial in self.partials().into_values() {
                let _ = partial.remove_fresh();
            }
        })
    }

    fn compare_space(&self, totals: &[(u32, u64)]) -> Result<()> {
        let partials = self.partials();
        let mut occupied = 0;
        for (number, total) in totals {
            let Some(partial) = partials.get(number) else { continue };
            partial.check_limit(*total)?;
            occupied += partial.occupied()?;
        }
        let Some(first) = totals.first().and_then(|(number, _)| partials.get(number)) else { return Ok(()) };
        let needed = totals.iter().map(|(_, total)| total).sum::<u64>().saturating_sub(occupied);
        let free = disk::free(&self.folder).map_err(Error::read(&self.folder))?;
        if needed > free {
            return Err(files::Error::Space { path: first.goal().to_owned(), needed, free }.into());
        }
        Ok(())
    }

    pub(crate) fn write_at(&self, chunks: &[Bytes], at: u64) -> Result<()> {
        let (number, offset) = apart(at);
        let Some(partial) = self.partial(number) else { return Ok(()) };
        disk::write_at(partial.file(), chunks, offset).map_err(Error::write(partial.path()))
    }

    /// The file in which `position` lies, and the offset there.
    pub(crate) fn place(&self, position: u64) -> Option<(Arc<PartialFile>, u64)> {
        let (number, offset) = apart(position);
        Some((self.partial(number)?, offset))
    }

    /// Hashes what lies at `places`, in their order; `None` where a file ends before.
    pub(crate) fn hash(
        &self,
        algorithm: Algorithm,
        places: &[(u64, u64)],
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Hasher>> {
        let mut hasher = Hasher::new(algorithm);
        for &(at, size) in places {
            let (number, offset) = apart(at);
            let Some(partial) = self.partial(number) else { return Ok(None) };
            if !disk::update_at(&mut hasher, partial.file(), offset, size, buffer, |_| {})? {
                return Ok(None);
            }
        }
        Ok(Some(hasher))
    }

    /// A file to which `at` belongs, if only for a while.
    fn ground(&self, number: u32) -> io::Result<Footing> {
        if let Some(partial) = self.partial(number) {
            return Ok(Footing::Partial(partial));
        }
        let mut scratch = self.scratch.write().unwrap_or_else(PoisonError::into_inner);
        let file = match &*scratch {
            Some(file) => Arc::clone(file),
            None => Arc::clone(scratch.insert(Arc::new(tempfile::tempfile_in(&self.folder)?))),
        };
        Ok(Footing::Scratch(file))
    }

    /// A position of which no volume up to `last` knows.
    pub(crate) const fn beyond(last: u32) -> u64 {
        position(last.saturating_add(1), 0)
    }
}

enum Footing {
    Partial(Arc<PartialFile>),
    Scratch(Arc<File>),
}

impl Footing {
    fn file(&self) -> &File {
        match self {
            Self::Partial(partial) => partial.file(),
            Self::Scratch(file) => file,
        }
    }
}

impl Shift for Canvas {
    fn shift(&self, from: u64, to: u64, size: u64) -> io::Result<()> {
        let ((source, from), (target, to)) = (apart(from), apart(to));
        let (origin, goal) = (self.ground(source)?, self.ground(target)?);
        if source == target {
            return disk::move_within(origin.file(), from, to, size);
        }
        disk::carry_over(origin.file(), from, goal.file(), to, size)
    }
}
