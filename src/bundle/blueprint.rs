//! What a run writes: one bundle, a set of volumes, or one volume of a set.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Contents, Error, Layout, Reader, Result, TarEntry,
    canvas::{Span, position},
    volume::{self, Cut, Size, VolumeGroup},
};
use crate::oci::Digest;

/// Into how many files a bundle goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileLayout {
    /// One.
    Whole,
    /// Volumes of at most so many bytes; of them all or one.
    Set { size: Size, only: Option<u32> },
    /// Some volumes of a set whose cut is given.
    Group(Arc<VolumeGroup>),
}

/// The plan of every file of a run, and of where each blob's bytes go.
#[derive(Debug)]
pub(crate) struct Blueprint {
    contents: Contents,
    cut: Option<Cut>,
    volumes: Vec<(u32, Layout)>,
    /// Where each blob of which a part is written is first: a volume, and a place among its blobs.
    blobs: Vec<(u32, u32)>,
    /// Of blobs that are cut; those of others follow from the layouts.
    spans: HashMap<Digest, Vec<Span>>,
}

impl Blueprint {
    pub(crate) fn of(contents: Contents, form: FileLayout) -> Result<Self> {
        match form {
            FileLayout::Whole => Self::whole(contents),
            FileLayout::Set { size, only } => {
                let cut = volume::pack(&contents, size)?;
                let numbers = only.map_or_else(|| (1..=cut.volumes).collect(), |number| vec![number]);
                Self::set(contents, cut, numbers)
            }
            FileLayout::Group(group) => Self::set(contents, Cut::clone(&group.cut), group.numbers.clone()),
        }
    }

    fn whole(contents: Contents) -> Result<Self> {
        let layout = Layout::of(&contents)?;
        let blobs = (0..).take(layout.blobs().len()).map(|at| (0, at)).collect();
        Ok(Self { contents, cut: None, volumes: vec![(1, layout)], blobs, spans: HashMap::new() })
    }

    /// The volumes `numbers` of the set that is cut as `cut` says.
    fn set(contents: Contents, cut: Cut, numbers: Vec<u32>) -> Result<Self> {
        if let Some(&number) = numbers.iter().find(|&&number| number == 0 || number > cut.volumes) {
            return Err(Error::NoVolume { number, volumes: cut.volumes });
        }
        let mut segments: HashMap<u32, usize> = numbers.iter().map(|number| (*number, 0)).collect();
        cut.place(contents.order()?.blobs, |piece, segment, _| {
            if let Some(count) = segments.get_mut(&piece.volume).filter(|_| segment.is_some()) {
                *count += 1;
            }
        })?;
        let volumes = numbers.into_iter().map(|number| {
            // What the segments' digests are is known when all of it has arrived; until then any stand for them.
            let any = vec![Digest::sha256(b""); segments[&number]];
            Ok((number, Layout::of_volume(&contents, &cut, number, any)?))
        });
        let volumes: Vec<(u32, Layout)> = volumes.collect::<Result<_>>()?;
        let written: HashMap<u32, u32> = volumes.iter().map(|(number, _)| *number).zip(0..).collect();
        let (mut spans, mut blobs) = (HashMap::new(), Vec::new());
        // The pieces of one blob follow each other.
        for pieces in cut.pieces.chunk_by(|a, b| a.digest == b.digest) {
            let (mut of_blob, mut first) = (Vec::with_capacity(pieces.len()), None);
            for piece in pieces {
                let volume = written.get(&piece.volume).copied();
                let place = volume.and_then(|volume| volumes[volume as usize].1.blob_number(&piece.digest));
                let at = volume.zip(place);
                let offset = at.map(|(volume, place)| volumes[volume as usize].1.blobs()[place as usize].offset);
                let at_position = offset.map(|offset| position(piece.volume, offset));
                of_blob.push(Span { from: piece.from, size: piece.size, at: at_position });
                first = first.or(at);
            }
            if let Some(first) = first {
                blobs.push(first);
                if pieces.len() > 1 {
                    spans.insert(pieces[0].digest, of_blob);
                }
            }
        }
        Ok(Self { contents, cut: Some(cut), volumes, blobs, spans })
    }

    /// The files, by volume; a bundle in one file is volume 1.
    pub(crate) fn volumes(&self) -> &[(u32, Layout)] {
        &self.volumes
    }

    pub(crate) fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// The first file; of a bundle in one file, that one.
    pub(crate) fn first(&self) -> &Layout {
        &self.volumes[0].1
    }

    /// Bytes of each file.
    pub(crate) fn totals(&self) -> Vec<(u32, u64)> {
        self.volumes.iter().map(|(number, layout)| (*number, layout.total())).collect()
    }

    /// Configs and layers of which at least a part is written.
    pub(crate) fn blobs(&self) -> impl ExactSizeIterator<Item = &TarEntry> {
        self.blobs.iter().map(|&(volume, place)| &self.volumes[volume as usize].1.blobs()[place as usize])
    }

    /// Where a blob's bytes go, from its first on; empty for what is not written.
    pub(crate) fn spans(&self, digest: &Digest) -> Vec<Span> {
        if let Some(spans) = self.spans.get(digest) {
            return spans.clone();
        }
        let in_volume = |(number, layout): &(u32, Layout)| {
            let place = &layout.blobs()[layout.blob_number(digest)? as usize];
            Some(Span { from: 0, size: place.whole, at: Some(position(*number, place.offset)) })
        };
        self.volumes.iter().find_map(in_volume).into_iter().collect()
    }

    /// The size of a blob all of which is written; what lies here of others cannot be told to be right without the rest.
    pub(crate) fn kept(&self, digest: &Digest) -> Option<u64> {
        let spans = self.spans(digest);
        let is_whole = !spans.is_empty() && spans.iter().all(|span| span.at.is_some());
        is_whole.then(|| spans.iter().map(|span| span.size).sum())
    }

    /// Where the first `bytes` of a blob lie; `None` unless all of it is written.
    pub(crate) fn places(&self, digest: &Digest, bytes: u64) -> Option<Vec<(u64, u64)>> {
        let mut places = Vec::new();
        let spans = self.spans(digest);
        if spans.is_empty() {
            return None;
        }
        for span in spans {
            let size = bytes.saturating_sub(span.from).min(span.size);
            let at = span.at?;
            if size > 0 || span.size == 0 {
                places.push((at, size));
            }
        }
        Some(places)
    }

    pub(crate) fn is_manifest(&self, digest: &Digest) -> bool {
        self.first().is_manifest(digest)
    }

    /// Everything that is not content of a blob, and where it goes.
    pub(crate) fn frame(&self) -> impl Iterator<Item = (u64, Bytes)> {
        self.volumes
            .iter()
            .flat_map(|(number, layout)| layout.frame().map(|(offset, bytes)| (position(*number, offset), bytes)))
    }

    /// The volumes of the set whose files a run needs, were it to write all of them.
    pub(crate) fn numbers(&self) -> BTreeSet<u32> {
        self.volumes.iter().map(|(number, _)| *number).collect()
    }

    /// Opens `path` if it is as long as volume `number`, which `layout` plans, and begins as that does. Blocks.
    pub(crate) fn begun_at(&self, number: u32, layout: &Layout, path: &Path) -> Result<Option<Reader>> {
        if fs::metadata(path).ok().map(|found| found.len()) != Some(layout.total()) {
            return Ok(None);
        }
        let Ok(reader) = Reader::open_file(path) else { return Ok(None) };
        let segments = |layout: &Layout| layout.facts().volume.as_ref().map(|volume| volume.segments.clone());
        let found = reader.layout().and_then(segments);
        if found.as_ref().map(Vec::len) != segments(layout).as_ref().map(Vec::len) {
            return Ok(None);
        }
        // Only the content knows the digests of its segments: those that the head says are held against it later.
        let sealed = self.sealed(number, found.unwrap_or_default())?;
        let planned = sealed.as_ref().unwrap_or(layout);
        Ok(reader.layout().is_some_and(|found| found.begins_as(planned)).then_some(reader))
    }

    /// The same volume with the digests of its segments.
    pub(crate) fn sealed(&self, number: u32, segments: Vec<Digest>) -> Result<Option<Layout>> {
        let Some(cut) = self.cut.as_ref().filter(|_| !segments.is_empty()) else { return Ok(None) };
        Layout::of_volume(&self.contents, cut, number, segments).map(Some)
    }
}

/// How the bundle of `contents` would be cut into volumes of at most `size` bytes, and the number and the bytes of each;
/// of one of them, if `only` that is to be written.
///
/// # Errors
/// As [`volume::pack()`], and [`Error::NoVolume`].
pub(crate) fn preview(contents: &Contents, size: Size, only: Option<u32>) -> Result<(Cut, Vec<(u32, u64)>)> {
    let plan = Blueprint::of(contents.clone(), FileLayout::Set { size, only })?;
    let cut = plan.cut().cloned().unwrap_or(Cut { pieces: volume::Pieces::default(), size: size.0, volumes: 0 });
    Ok((cut, plan.totals()))
}
