//! A packed file as the bundle that it codes: its bytes by position, made on demand.

use std::{collections::HashMap, fmt, fs::File, ops::Range, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{
    Error, Result,
    frames::{BaseContents, Frames, Stopped},
    head::{HEAD, PackHead, PackedBundle},
    medium::Medium,
    rebuild::{BlobPlace, rebuild},
    spool::{BaseFinder, WithFound},
    volumes::VOLUME,
};
use crate::{
    bundle::{Layout, Reader, random_access::RandomAccess},
    content::{self, ByteStream, ReadAt},
    files::blocking::off_reactor,
    oci::Descriptor,
};

/// Memory that decoding may take if nothing else is said.
pub const MEMORY: u64 = 1 << 30;

/// Bytes of a chunk that is passed on.
const CHUNK: usize = 256 << 10;

/// Chunks that wait for their reader.
const AHEAD: usize = 2;

/// The media type of base layers: the head has none.
const BYTES: &str = "application/octet-stream";

/// How packed files are read.
#[derive(Clone, Debug)]
pub struct ReadSettings {
    /// Bytes of memory that decoding may take.
    pub memory: u64,
    /// Where the layers are that the receiver has.
    pub base: Option<Arc<dyn BaseContents>>,
    /// What finds those that are not there.
    #[doc(hidden)]
    pub finder: Option<Arc<dyn BaseFinder>>,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self { memory: MEMORY, base: None, finder: None }
    }
}

/// An open packed file.
#[derive(Clone, Debug)]
pub struct PackedFile {
    reader: Reader,
    inner: Arc<DecodedBundle>,
}

/// Whether the file at `path` is a packed file, sound or damaged.
///
/// # Errors
/// It cannot be read.
pub fn is_packed_file(path: &Path) -> Result<bool> {
    let meta = std::fs::metadata(path).map_err(Error::read(path))?;
    if !meta.is_file() {
        return Ok(false);
    }
    let file = RandomAccess::from(File::open(path).map_err(Error::read(path))?);
    Ok(HEAD.begins(&file.read_up_to(0, HEAD.look()).map_err(Error::read(path))?))
}

/// What a file is to this room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackKind {
    /// A packed file, sound or damaged.
    Whole,
    /// A volume of one, sound or damaged.
    Volume,
    /// Something else.
    Other,
}

/// What lies there.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn kind_at(from: &dyn ReadAt) -> content::Result<PackKind> {
    let look = HEAD.look().max(VOLUME.look());
    let begin = content::read_at::read_whole(from, 0..look.min(from.size())).await?;
    Ok(match (HEAD.begins(&begin), VOLUME.begins(&begin)) {
        (true, _) => PackKind::Whole,
        (false, true) => PackKind::Volume,
        (false, false) => PackKind::Other,
    })
}

/// What reads the bundle in the packed file at `path`; `None` if it is another file.
///
/// # Errors
/// As [`PackedFile::open`].
pub(crate) async fn reader_at(path: &Path, settings: &ReadSettings) -> Result<Option<Reader>> {
    if !is_packed_file(path)? {
        return Ok(None);
    }
    Ok(Some(PackedFile::open(path, settings.clone()).await?.reader))
}

/// As [`reader_at`], of what is elsewhere.
///
/// # Errors
/// As [`PackedFile::open`].
pub(crate) async fn reader_on(from: Arc<dyn ReadAt>, settings: &ReadSettings) -> Result<Option<Reader>> {
    if kind_at(&*from).await? != PackKind::Whole {
        return Ok(None);
    }
    Ok(Some(PackedFile::open_on(from, settings.clone()).await?.reader))
}

impl PackedFile {
    /// Opens the packed file at `path`. Its head and the documents of the bundle are read.
    ///
    /// # Errors
    /// It is damaged, of a later format, needs more memory than it may take, or base layers are missing.
    pub async fn open(path: &Path, settings: ReadSettings) -> Result<Self> {
        Self::open_in(Medium::open(path)?, settings).await
    }

    /// As [`PackedFile::open`], of one that is elsewhere.
    pub(crate) async fn open_on(from: Arc<dyn ReadAt>, settings: ReadSettings) -> Result<Self> {
        Self::open_in(Medium::remote(from), settings).await
    }

    /// As [`PackedFile::open`], of one that is in several files perhaps.
    pub(crate) async fn open_in(file: Medium, settings: ReadSettings) -> Result<Self> {
        let finder = settings.finder.clone();
        let mut inner = off_reactor(move || DecodedBundle::open(file, settings)).await?;
        // Where everything is follows from the front alone, so that is read as a bundle first.
        let front = FrontBytes { front: inner.front.clone(), name: inner.name(), size: inner.size() };
        let documents = Reader::open_on(Arc::new(front)).await?;
        inner.plan(&documents)?;
        if let Some(finder) = finder {
            let missing: Vec<Descriptor> = inner.missing_base().collect();
            let found = if missing.is_empty() { Vec::new() } else { finder.find(&documents, &missing).await? };
            if !found.is_empty() {
                let own = inner.frames.base();
                inner.frames.set_base(Arc::new(WithFound::new(own, found, inner.frames.path())));
            }
            inner.check_base()?;
        }
        let inner = Arc::new(inner);
        let reader = Reader::open_on(Arc::new(BundleBytes(Arc::clone(&inner)))).await?;
        Ok(Self { reader, inner })
    }

    /// What reads the bundle in it.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What the head says of the bundle.
    pub(crate) fn bundle(&self) -> &PackedBundle {
        &self.inner.frames.head().bundle
    }
}

/// The bundle's bytes.
struct DecodedBundle {
    frames: Frames,
    front: Bytes,
    /// All of it in order; empty until the front was read as a bundle's.
    spans: Vec<BundleSpan>,
}

impl fmt::Debug for DecodedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodedBundle({})", self.frames.path().display())
    }
}

/// A stretch of the bundle.
#[derive(Clone, Debug)]
struct BundleSpan {
    /// Where it is in the bundle.
    range: Range<u64>,
    bytes: SpanBytes,
}

#[derive(Clone, Debug)]
enum SpanBytes {
    /// Headers, padding, documents.
    Known(Bytes),
    /// A config or a layer.
    Blob(BlobPlace),
}

impl DecodedBundle {
    fn name(&self) -> String {
        self.frames.path().display().to_string()
    }

    fn size(&self) -> u64 {
        self.frames.head().bundle.size
    }

    fn open(file: Medium, settings: ReadSettings) -> Result<Self> {
        let (head, written) = PackHead::read(&file)?;
        let frames = head.contents.iter().flat_map(|content| &content.frames);
        let expected = frames.fold(written, |sum, frame| sum.saturating_add(frame.size));
        if expected != file.length() {
            return Err(Error::Length { path: file.path(), found: file.length(), expected });
        }
        let front_length = head.front;
        let frames = Frames::new(file, head, written, settings.memory, settings.base)?;
        let mut opened = Self { frames, front: Bytes::new(), spans: Vec::new() };
        if settings.finder.is_none() {
            opened.check_base()?;
        }
        let mut front = Vec::with_capacity(usize::try_from(front_length).unwrap_or(0));
        opened.frames.read(0, 0..front_length, &mut |bytes: &[u8]| {
            front.extend_from_slice(bytes);
            Ok::<(), Error>(())
        })?;
        opened.front = front.into();
        Ok(opened)
    }

    /// Base layers that nothing has.
    fn missing_base(&self) -> impl Iterator<Item = Descriptor> {
        let base = self.frames.base();
        let layers = self.frames.head().base.iter();
        let missing = layers.filter(move |layer| !base.as_ref().is_some_and(|base| base.has(&layer.digest)));
        missing.map(|layer| Descriptor::new(BYTES, layer.digest, layer.size))
    }

    fn check_base(&self) -> Result<()> {
        let mut missing = self.missing_base();
        let Some(first) = missing.next() else { return Ok(()) };
        let path = self.frames.path().to_owned();
        Err(Error::BaseMissing { path, missing: missing.count() + 1, first: first.digest })
    }

    /// Takes up the plan that follows from the front, and holds the head against it.
    fn plan(&mut self, reader: &Reader) -> Result<()> {
        let path = self.frames.path();
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let head = self.frames.head();
        let Some(layout) = reader.layout().filter(|layout| layout.facts().volume.is_none()) else {
            return Err(malformed("what is in it is not a bundle".to_owned()));
        };
        let seal = layout.facts().digest();
        if layout.id() != head.bundle.id || seal != head.bundle.seal || layout.head_size() != head.front {
            return Err(malformed("what is in it is another bundle than the head says".to_owned()));
        }
        self.spans = self.spans_of(layout).map_err(malformed)?;
        Ok(())
    }

    fn spans_of(&self, layout: &Layout) -> Result<Vec<BundleSpan>, String> {
        let head = self.frames.head();
        let mut places = HashMap::new();
        for (content, packed) in head.contents.iter().enumerate() {
            let mut start = if content == 0 { head.front } else { 0 };
            for (blob, one) in packed.blobs.iter().enumerate() {
                places.insert(one.digest, (one.size, BlobPlace { content, blob, start }));
                start += one.length;
            }
        }
        if places.len() != layout.blobs().len() {
            return Err(format!("it has {} blobs, the bundle has {}", places.len(), layout.blobs().len()));
        }
        let mut spans: Vec<BundleSpan> = Vec::with_capacity(2 * places.len() + 2);
        for (offset, bytes) in layout.frame().filter(|(_, bytes)| !bytes.is_empty()) {
            spans.push(BundleSpan { range: offset..offset + bytes.len() as u64, bytes: SpanBytes::Known(bytes) });
        }
        for entry in layout.blobs().iter().filter(|entry| entry.whole > 0) {
            let (size, place) = places.get(&entry.digest).ok_or_else(|| format!("it lacks {}", entry.digest))?;
            if *size != entry.whole {
                return Err(format!("{} has another size than the bundle says", entry.digest));
            }
            spans.push(BundleSpan { range: entry.offset..entry.end(), bytes: SpanBytes::Blob(*place) });
        }
        spans.sort_by_key(|span| span.range.start);
        Ok(spans)
    }

    /// Gives the bytes `range` to `sink`. Blocks.
    fn give(&self, range: &Range<u64>, sink: &mut impl FnMut(Bytes) -> Result<(), Stopped>) -> Result<()> {
        let first = self.spans.partition_point(|span| span.range.end <= range.start);
        for span in self.spans[first..].iter().take_while(|span| span.range.start < range.end) {
            let part = cut(&span.range, range);
            match &span.bytes {
                SpanBytes::Known(bytes) => passed(sink(bytes.slice(part)))?,
                SpanBytes::Blob(place) => self.give_blob(*place, part, sink)?,
            }
        }
        Ok(())
    }

    fn give_blob(
        &self,
        place: BlobPlace,
        part: Range<usize>,
        sink: &mut impl FnMut(Bytes) -> Result<(), Stopped>,
    ) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK.min(part.len()));
        let mut stopped = false;
        rebuild(&self.frames, place, part.start as u64..part.end as u64, &mut |mut bytes| {
            // What comes may be all of a frame.
            while !bytes.is_empty() {
                let (now, later) = bytes.split_at(bytes.len().min(CHUNK - chunk.len()));
                chunk.extend_from_slice(now);
                bytes = later;
                if chunk.len() == CHUNK {
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                    sink(full.into()).inspect_err(|_| stopped = true)?;
                }
            }
            Ok(())
        })?;
        if stopped || chunk.is_empty() { Ok(()) } else { passed(sink(chunk.into())) }
    }
}

fn passed(outcome: Result<(), Stopped>) -> Result<()> {
    match outcome {
        Err(Stopped::Failed(error)) => Err(*error),
        Ok(()) | Err(Stopped::Enough) => Ok(()),
    }
}

/// The part of `span` that is in `range`, counted from its beginning.
fn cut(span: &Range<u64>, range: &Range<u64>) -> Range<usize> {
    let within = |at: u64| usize::try_from(at.clamp(span.start, span.end) - span.start).unwrap_or(usize::MAX);
    within(range.start)..within(range.end)
}

/// The bundle's bytes for readers by position.
#[derive(Debug)]
struct BundleBytes(Arc<DecodedBundle>);

#[async_trait]
impl ReadAt for BundleBytes {
    fn name(&self) -> String {
        self.0.name()
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    /// What follows a range may take long to make.
    fn read_ahead(&self) -> u64 {
        0
    }

    async fn read(&self, range: Range<u64>) -> content::Result<ByteStream> {
        let front = 0..self.0.front.len() as u64;
        if range.end <= front.end {
            let bytes = self.0.front.slice(cut(&front, &range));
            return Ok(stream::iter([Ok(bytes)]).boxed());
        }
        Ok(streamed(Arc::clone(&self.0), range))
    }
}

/// The front of a bundle; what follows is never read.
#[derive(Debug)]
struct FrontBytes {
    front: Bytes,
    name: String,
    size: u64,
}

#[async_trait]
impl ReadAt for FrontBytes {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_ahead(&self) -> u64 {
        0
    }

    async fn read(&self, range: Range<u64>) -> content::Result<ByteStream> {
        let part = cut(&(0..self.front.len() as u64), &range);
        Ok(stream::iter([Ok(self.front.slice(part))]).boxed())
    }
}

/// Bytes that a thread makes as they are taken.
fn streamed(bundle: Arc<DecodedBundle>, range: Range<u64>) -> ByteStream {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let outcome = bundle.give(&range, &mut |chunk| sender.blocking_send(Ok(chunk)).map_err(|_| Stopped::Enough));
        if let Err(error) = outcome {
            // The reader may be gone, which is not an error.
            let _ = sender.blocking_send(Err(error.into()));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
}
