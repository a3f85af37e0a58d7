//! The plan of the file: where each byte of a bundle lies, before any blob is there.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Contents, Error, Facts, Order, Result,
    header::{self, END, blob_name, padding},
    volume::Cut,
};
use crate::oci::{Descriptor, Digest};

/// The content of `oci-layout` (image-spec 1.1, *image-layout.md*).
pub const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The name of the entry that makes a folder an image layout.
pub const MARKER_NAME: &str = "oci-layout";
/// The name of the entry that lists the artifacts.
pub const INDEX_NAME: &str = "index.json";
/// The name of the entry that seals the index.
pub const FACTS_NAME: &str = "airlift.json";

/// Largest offset in a bundle: what the systems' signed file offsets hold.
const MAX_TOTAL: u64 = i64::MAX as u64;

/// Where a manifest or blob lies. Offsets are bytes from the start of the file. There may be a hundred thousand of them, so it has
/// no more than what the file depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// What lies there, or what the segment is of.
    pub digest: Digest,
    /// Bytes of all of it.
    pub whole: u64,
    /// The first byte of its tar header.
    pub header_offset: u64,
    /// The first byte of its content.
    pub offset: u64,
    /// In a volume, the stretch of the blob that lies there, where it is not all of it.
    pub segment: Option<Segment>,
}

/// A stretch of a blob that was cut over volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which one it is of its blob's, from 1.
    pub number: u32,
    /// Where in the blob it begins, in bytes.
    pub from: u64,
    /// Its bytes.
    pub size: u64,
}

impl TarEntry {
    /// The first byte after its content.
    pub fn end(&self) -> u64 {
        self.offset + self.size()
    }

    /// Bytes of its content: of the blob, or of the segment.
    pub fn size(&self) -> u64 {
        self.segment.map_or(self.whole, |segment| segment.size)
    }

    /// The first byte of the blob that lies there.
    pub fn from(&self) -> u64 {
        self.segment.map_or(0, |segment| segment.from)
    }

    /// The name of its entry.
    pub fn name(&self) -> String {
        match self.segment {
            None => blob_name(&self.digest),
            Some(segment) => super::volume::segment_name(&self.digest, segment.number),
        }
    }

    /// What lies there, without its media type: no byte of the file depends on it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new("", self.digest, self.whole)
    }
}

/// An entry of the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The first byte of its header.
    pub header_offset: u64,
    /// The first byte of its content.
    pub offset: u64,
    /// Bytes of its content.
    pub size: u64,
}

/// The plan of a bundle: a pure function of its [`Contents`].
#[derive(Clone, Debug)]
pub struct Layout {
    id: Digest,
    facts: Facts,
    index: Bytes,
    /// Of the entries in front of the manifests.
    documents: Vec<Entry>,
    /// The manifests themselves, which are shared with the contents.
    raw: Arc<[Bytes]>,
    places: Vec<TarEntry>,
    /// Places in `places`, sorted by the digest of what is there.
    by_digest: Vec<u32>,
    head_size: u64,
    total: u64,
}

impl Layout {
    /// Plans the bundle of `contents`.
    ///
    /// # Errors
    /// A manifest is missing, sizes contradict each other, or the bundle would be larger than a file can be.
    pub fn of(contents: &Contents) -> Result<Self> {
        let order = contents.order()?;
        let facts = Facts::new(contents.index.id(), order.absent.clone());
        let whole = order.blobs.iter().map(|&blob| (blob, None));
        Self::build(contents, &order, facts, whole)
    }

    /// Plans volume `number` of the set that `cut` makes of `contents`; `segments` are the digests of the segments in it,
    /// in order. While they are unknown any will do: they change no position.
    ///
    /// # Errors
    /// As [`Layout::of`], and where `cut` is none of `contents`.
    pub fn of_volume(contents: &Contents, cut: &Cut, number: u32, segments: Vec<Digest>) -> Result<Self> {
        let order = contents.order()?;
        let wrong = |reason: String| Error::Seal { document: FACTS_NAME, reason };
        if number == 0 || number > cut.volumes {
            return Err(wrong(format!("a set of {} volumes has no volume {number}", cut.volumes)));
        }
        let mut pieces = Vec::new();
        cut.place(order.blobs.iter().copied(), |piece, segment, blob| {
            if piece.volume == number {
                let segment = segment.map(|number| Segment { number, from: piece.from, size: piece.size });
                pieces.push((blob, segment));
            }
        })?;
        let cut_here = pieces.iter().filter(|(_, segment)| segment.is_some()).count();
        if cut_here != segments.len() {
            return Err(wrong(format!("it has {cut_here} segments and states the digests of {}", segments.len())));
        }
        let facts = Facts::of_volume(contents.index.id(), order.absent.clone(), cut.clone(), number, segments);
        Self::build(contents, &order, facts, pieces.into_iter())
    }

    fn build<'b>(
        contents: &Contents,
        order: &Order<'b>,
        facts: Facts,
        pieces: impl ExactSizeIterator<Item = (&'b Descriptor, Option<Segment>)>,
    ) -> Result<Self> {
        contents.check_size()?;
        if let Some(missing) = order.missing.first() {
            return Err(Error::Missing { digest: missing.digest });
        }
        let mut positions = Positions::default();
        let index = Bytes::from(contents.index.to_json());
        let documents =
            [(MARKER_NAME, MARKER.len() as u64), (INDEX_NAME, index.len() as u64), (FACTS_NAME, facts.length())];
        let documents = documents.map(|(name, size)| {
            let (header_offset, offset) = positions.next(name, size)?;
            Ok(Entry { name: name.to_owned(), header_offset, offset, size })
        });
        let documents = documents.into_iter().collect::<Result<_>>()?;
        let manifests = order.manifests.iter().map(|(descriptor, _)| (*descriptor, None));
        let mut places = Vec::with_capacity(order.manifests.len() + pieces.len());
        let mut head_size = positions.end;
        for (at, (blob, segment)) in manifests.chain(pieces).enumerate() {
            let (digest, whole) = (blob.digest, blob.size);
            let mut place = TarEntry { digest, whole, header_offset: 0, offset: 0, segment };
            (place.header_offset, place.offset) = positions.next(&place.name(), place.size())?;
            places.push(place);
            if at < order.manifests.len() {
                head_size = positions.end;
            }
        }
        let mut by_digest: Vec<u32> = (0..).take(places.len()).collect();
        by_digest.sort_by_key(|&at| places[at as usize].digest);
        let raw = order.manifests.iter().map(|(_, manifest)| manifest.raw().clone()).collect();
        let (id, total) = (contents.index.id(), positions.end + END);
        Ok(Self { id, facts, index, documents, raw, places, by_digest, head_size, total })
    }

    /// The bundle id.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// What `airlift.json` says.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Everything in front of the first config's or layer's header.
    pub fn head(&self) -> Bytes {
        let mut head = Vec::with_capacity(usize::try_from(self.head_size).unwrap_or(0));
        self.head_entries().for_each(|(_, entry)| head.extend_from_slice(&entry));
        head.into()
    }

    /// [`Layout::head`] entry by entry, each with its header and its padding. They are made anew at each call: every manifest is among
    /// them, and a set has them once a volume.
    pub(crate) fn head_entries(&self) -> impl Iterator<Item = (u64, Bytes)> {
        let documents = self.documents.iter().map(|entry| {
            let content = |out: &mut Vec<u8>| match entry.name.as_str() {
                MARKER_NAME => out.extend_from_slice(MARKER),
                INDEX_NAME => out.extend_from_slice(&self.index),
                _ => self.facts.write(out),
            };
            (entry.header_offset, framed(&entry.name, entry.size, content))
        });
        let manifests = self.manifests().iter().zip(self.raw.iter()).map(|(place, raw)| {
            (place.header_offset, framed(&place.name(), raw.len() as u64, |out| out.extend_from_slice(raw)))
        });
        documents.chain(manifests)
    }

    /// The same plan, with what it has in common with that of another volume of its set.
    pub(crate) fn sharing(self, other: &Self) -> Self {
        let facts = Facts { set: other.facts.set.clone(), ..self.facts };
        Self { facts, index: other.index.clone(), raw: Arc::clone(&other.raw), ..self }
    }

    /// The bytes of [`Layout::manifests`].
    pub(crate) fn raw_manifests(&self) -> &[Bytes] {
        &self.raw
    }

    /// Bytes of [`Layout::head`].
    pub const fn head_size(&self) -> u64 {
        self.head_size
    }

    /// Whether a file of `other` begins as one of this does: index and `airlift.json` fix every manifest.
    pub fn begins_as(&self, other: &Self) -> bool {
        self.id == other.id && self.facts == other.facts
    }

    /// Configs, then layers, in the order of the file.
    pub fn blobs(&self) -> &[TarEntry] {
        &self.places[self.raw.len()..]
    }

    /// Manifests and indexes, in the order of the file.
    pub fn manifests(&self) -> &[TarEntry] {
        &self.places[..self.raw.len()]
    }

    /// Every entry of the tar, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let blobs = self.places.iter().map(|place| Entry {
            name: place.name(),
            header_offset: place.header_offset,
            offset: place.offset,
            size: place.size(),
        });
        self.documents.iter().cloned().chain(blobs)
    }

    /// Bytes of the whole file.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of configs and layers, or of what lies here of them.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs().iter().map(TarEntry::size).sum()
    }

    /// Which of [`Layout::blobs`] has the content of `digest`, or a segment of it.
    pub(crate) fn blob_number(&self, digest: &Digest) -> Option<u32> {
        let place = self.place_of(digest)?.checked_sub(self.raw.len())?;
        u32::try_from(place).ok()
    }

    fn place_of(&self, digest: &Digest) -> Option<usize> {
        let found = self.by_digest.binary_search_by_key(digest, |&at| self.places[at as usize].digest);
        found.ok().map(|nth| self.by_digest[nth] as usize)
    }

    /// Where a manifest or blob, or the segment of one, lies, if it is in the file.
    pub fn place(&self, digest: &Digest) -> Option<&TarEntry> {
        self.place_of(digest).map(|at| &self.places[at])
    }

    /// Whether `digest` is a manifest of the bundle.
    pub fn is_manifest(&self, digest: &Digest) -> bool {
        self.place_of(digest).is_some_and(|at| at < self.raw.len())
    }

    /// Everything of the file but the content of configs and layers, as pieces with their offsets: the entries of the head, then
    /// `Layout::headers`.
    pub fn frame(&self) -> impl Iterator<Item = (u64, Bytes)> {
        self.head_entries().chain(self.headers())
    }

    /// What lies before each config and layer (the padding of the one before, and the header), and last the padding and end blocks.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (u64, Bytes)> {
        let blobs = self.blobs();
        let between = blobs.iter().enumerate().map(move |(at, place)| {
            let start = at.checked_sub(1).map_or(place.header_offset, |before| blobs[before].end());
            let mut bytes = zeros(place.header_offset - start);
            bytes.extend(header::encode(&place.name(), place.size()));
            (start, bytes.into())
        });
        let end = blobs.last().map_or(self.head_size, TarEntry::end);
        let last = (end, zeros(self.total - end).into());
        between.chain(std::iter::once(last))
    }
}

/// An entry of `size` bytes, which `content` appends, with its header and its padding.
fn framed(name: &str, size: u64, content: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = header::encode(name, size);
    bytes.reserve_exact(usize::try_from(size + padding(size)).unwrap_or(0));
    content(&mut bytes);
    bytes.extend(zeros(padding(size)));
    bytes.into()
}

/// So few that they always fit into memory: padding and end blocks.
fn zeros(count: u64) -> Vec<u8> {
    vec![0; usize::try_from(count).unwrap_or(0)]
}

/// Where entries are that follow each other.
#[derive(Default)]
struct Positions {
    /// The first byte after the padding of the last one.
    end: u64,
}

impl Positions {
    /// The offsets of header and content of the next entry.
    fn next(&mut self, name: &str, size: u64) -> Result<(u64, u64)> {
        let header_offset = self.end;
        let offset = header_offset + header::length(name);
        let end = offset.checked_add(size).filter(|&end| end < MAX_TOTAL - END - header::BLOCK);
        let too_large = || Error::TooLarge { what: "the bundle".to_owned(), limit: MAX_TOTAL };
        self.end = end.map(|end| end + padding(end)).ok_or_else(too_large)?;
        Ok((header_offset, offset))
    }
}
