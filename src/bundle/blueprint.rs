//! What a run writes: one bundle, a set of volumes, or one volume of a set.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::{
    Contents, Error, Layout, Result,
    canvas::{Span, position},
    volume::{self, Cut, Size},
};
use crate::oci::{Descriptor, Digest};

/// Into how many files a bundle goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileLayout {
    /// One.
    Whole,
    /// Volumes of at most so many bytes; of them all or one.
    Set { size: Size, only: Option<u32> },
}

/// The plan of every file of a run, and of where each blob's bytes go.
#[derive(Debug)]
pub(crate) struct Blueprint {
    contents: Contents,
    cut: Option<Cut>,
    volumes: Vec<(u32, Layout)>,
    blobs: Vec<Descriptor>,
    spans: HashMap<Digest, Vec<Span>>,
}

impl Blueprint {
    pub(crate) fn of(contents: Contents, form: FileLayout) -> Result<Self> {
        match form {
            FileLayout::Whole => Self::whole(contents),
            FileLayout::Set { size, only } => Self::set(contents, size, only),
        }
    }

    fn whole(contents: Contents) -> Result<Self> {
        let layout = Layout::of(&contents)?;
        let spans = layout.blobs().iter().map(|place| {
            let span = Span { from: 0, size: place.blob.size, at: Some(position(1, place.offset)) };
            (place.blob.digest, vec![span])
        });
        let spans = spans.collect();
        let blobs = layout.blobs().iter().map(|place| place.blob.clone()).collect();
        Ok(Self { contents, cut: None, volumes: vec![(1, layout)], blobs, spans })
    }

    fn set(contents: Contents, size: Size, only: Option<u32>) -> Result<Self> {
        let cut = volume::pack(&contents, size)?;
        if let Some(number) = only.filter(|&number| number == 0 || number > cut.volumes) {
            return Err(Error::NoVolume { number, volumes: cut.volumes });
        }
        let placed = cut.placed(&contents.order()?.blobs)?;
        let numbers = only.map_or(1..=cut.volumes, |number| number..=number);
        let volumes = numbers.map(|number| {
            let segments = placed.iter().filter(|one| one.piece.volume == number && one.segment.is_some()).count();
            // What the segments' digests are is known when all of it has arrived; until then any stand for them.
            Ok((number, Layout::of_volume(&contents, &cut, number, vec![Digest::sha256(b""); segments])?))
        });
        let volumes: Vec<(u32, Layout)> = volumes.collect::<Result<_>>()?;
        let mut spans: HashMap<Digest, Vec<Span>> = HashMap::new();
        let mut blobs = Vec::new();
        for one in &placed {
            let layout = volumes.iter().find(|(number, _)| *number == one.piece.volume);
            let place = layout.and_then(|(_, layout)| layout.place(&one.piece.digest));
            let at = place.map(|place| position(one.piece.volume, place.offset));
            let of_blob = spans.entry(one.piece.digest).or_default();
            of_blob.push(Span { from: one.piece.from, size: one.piece.size, at });
            if of_blob.len() == 1 {
                blobs.push(one.blob.clone());
            }
        }
        blobs.retain(|blob| spans[&blob.digest].iter().any(|span| span.at.is_some()));
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
    pub(crate) fn blobs(&self) -> &[Descriptor] {
        &self.blobs
    }

    /// Where a blob's bytes go, from its first on; empty for what is not written.
    pub(crate) fn spans(&self, digest: &Digest) -> &[Span] {
        let spans = self.spans.get(digest).map(Vec::as_slice).unwrap_or_default();
        if spans.iter().all(|span| span.at.is_none()) { &[] } else { spans }
    }

    /// The size of a blob all of which is written; what lies here of others cannot be told to be right without the rest.
    pub(crate) fn kept(&self, digest: &Digest) -> Option<u64> {
        let spans = self.spans.get(digest)?;
        spans.iter().all(|span| span.at.is_some()).then(|| spans.iter().map(|span| span.size).sum())
    }

    /// Where the first `bytes` of a blob lie; `None` unless all of it is written.
    pub(crate) fn places(&self, digest: &Digest, bytes: u64) -> Option<Vec<(u64, u64)>> {
        let mut places = Vec::new();
        for span in self.spans.get(digest)? {
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

    /// Everything that is no content of a blob, and where it goes.
    pub(crate) fn frame(&self) -> impl Iterator<Item = (u64, Bytes)> {
        let of = |(number, layout): &(u32, Layout)| {
            let number = *number;
            layout.frame().map(move |(offset, bytes)| (position(number, offset), bytes)).collect::<Vec<_>>()
        };
        self.volumes.iter().flat_map(of)
    }

    /// The volumes of the set whose files a run needs, were it to write all of them.
    pub(crate) fn numbers(&self) -> BTreeSet<u32> {
        self.volumes.iter().map(|(number, _)| *number).collect()
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
    let cut = plan.cut().cloned().unwrap_or(Cut { pieces: Vec::new(), size: size.0, volumes: 0 });
    Ok((cut, plan.totals()))
}
