//! Decoded frames of a packed file, on demand: read, held against their digests, decoded, and kept as long as there is room.

use std::{
    fmt,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
};

use super::{
    Error, Result, codec,
    frame_cache::{FrameCache, FrameKey},
    head::{FrameCoding, PackFrame, PackHead, PrefixPart, PrefixSource, starts_of, touched},
    medium::Medium,
    memory::{MemoryLimit, SpareMemory, SpareShare},
    window::Window,
};
use crate::oci::Digest;

/// Bytes of a frame that are copied for a reader that cannot hold it.
const PIECE: u64 = 1 << 20;

/// Where the content of base layers comes from.
pub trait BaseContents: Send + Sync + fmt::Debug {
    /// The content of a base layer from its beginning: what gzip decompresses it to, where the head says so.
    fn open(&self, layer: &Digest, gzip: bool) -> Result<Box<dyn Read + Send>>;

    /// Whether it is there.
    fn has(&self, layer: &Digest) -> bool;

    /// What messages call the place that it is in.
    #[doc(hidden)]
    fn place(&self, layer: &Digest) -> PathBuf {
        format!("the base layer {layer}").into()
    }
}

/// Why no more bytes are made.
#[derive(Debug)]
pub(super) enum Stopped {
    /// They could not be.
    Failed(Box<Error>),
    /// The reader has enough.
    Enough,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// The frames of a packed file.
#[derive(Debug)]
pub(super) struct Frames {
    file: Medium,
    path: PathBuf,
    head: PackHead,
    /// Where each frame is in the file.
    places: Vec<Vec<u64>>,
    /// Where each frame begins in its content.
    starts: Vec<Vec<u64>>,
    /// Memory that decoding takes.
    needs: Vec<Vec<u64>>,
    memory: MemoryLimit,
    /// For the frames that readers are at.
    held: SpareMemory,
    /// For segments of streams that several threads make.
    segments: SpareMemory,
    cache: Mutex<FrameCache>,
    decoded: Condvar,
    base: Option<Arc<dyn BaseContents>>,
}

/// A frame that a reader is at.
struct HeldFrame<'a> {
    bytes: Arc<Vec<u8>>,
    _share: SpareShare<'a>,
}

/// A frame that a thread decodes. Dropping it says so to those that wait for it, also where decoding failed or panicked.
struct UnderwayFrame<'a> {
    frames: &'a Frames,
    key: FrameKey,
    bytes: Option<Arc<Vec<u8>>>,
}

impl Drop for UnderwayFrame<'_> {
    fn drop(&mut self) {
        let mut cache = self.frames.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.end(self.key, self.bytes.as_ref());
        drop(cache);
        self.frames.decoded.notify_all();
    }
}

impl Frames {
    /// The frames of a file of which `head` is the checked head, from `offset` on. `memory` is what decoding may take.
    ///
    /// # Errors
    /// It needs more memory than that.
    pub(super) fn new(
        file: Medium,
        head: PackHead,
        mut offset: u64,
        memory: u64,
        base: Option<Arc<dyn BaseContents>>,
    ) -> Result<Self> {
        let (path, needs) = (file.path(), head.needs());
        let needed = needs.iter().flatten().copied().max().unwrap_or(0);
        // Six sixteenths are for decoding (a chain of prefixes as this writer makes them takes five), four for what is kept, three for the
        // frames that readers are at, two for segments, and one for all else.
        let part = memory / 16;
        if needed > memory / 2 {
            return Err(Error::Memory { path, needed: needed * 2, limit: memory });
        }
        let mut place = |frame: &PackFrame| {
            let own = offset;
            offset += frame.size;
            own
        };
        let places = head.contents.iter().map(|content| content.frames.iter().map(&mut place).collect()).collect();
        let starts = head.contents.iter().map(|content| starts_of(&content.frames)).collect();
        let cache = Mutex::new(FrameCache::new(4 * part));
        Ok(Self {
            file,
            path,
            head,
            places,
            starts,
            needs,
            memory: MemoryLimit::new(6 * part),
            held: SpareMemory::new(3 * part),
            segments: SpareMemory::new(2 * part),
            cache,
            decoded: Condvar::new(),
            base,
        })
    }

    /// Memory for segments of streams that several threads make.
    pub(super) const fn segment_memory(&self) -> &SpareMemory {
        &self.segments
    }

    pub(super) const fn head(&self) -> &PackHead {
        &self.head
    }

    /// Where base layers are.
    pub(super) fn base(&self) -> Option<Arc<dyn BaseContents>> {
        self.base.clone()
    }

    pub(super) fn set_base(&mut self, base: Arc<dyn BaseContents>) {
        self.base = Some(base);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the bytes `range` of a content to `sink`, frame by frame. While the sink has one, the next is decoded.
    pub(super) fn read<E: From<Error>>(
        &self,
        content: usize,
        range: Range<u64>,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if range.is_empty() {
            return Ok(());
        }
        let mut numbers = touched(&self.starts[content], range.start, range.end);
        if numbers.len() == 1 {
            return numbers.try_for_each(|number| self.pass((content, number), Ok(None), &range, sink));
        }
        thread::scope(|scope| {
            // Without room in it: besides the frame in use one waits, and no more.
            let (sender, receiver) = mpsc::sync_channel(0);
            scope.spawn(move || {
                for number in numbers {
                    let frame = self.hold((content, number), SpareMemory::take_early);
                    let is_last = frame.is_err();
                    // A receiver that is gone has enough.
                    if sender.send((number, frame)).is_err() || is_last {
                        return;
                    }
                }
            });
            receiver.into_iter().try_for_each(|(number, frame)| self.pass((content, number), frame, &range, sink))
        })
    }

    /// A frame that its reader has for as long as it likes; `None` if other readers have so many that there is no room for it.
    fn hold<'s>(
        &'s self,
        (content, number): FrameKey,
        take: impl Fn(&'s SpareMemory, u64) -> Option<SpareShare<'s>>,
    ) -> Result<Option<HeldFrame<'s>>> {
        let length = self.head.contents[content].frames[number].length;
        let Some(share) = take(&self.held, length) else { return Ok(None) };
        Ok(Some(HeldFrame { bytes: self.limited(content, number)?, _share: share }))
    }

    /// Gives what is in `range` of a frame to `sink`: of `early`, if it was decoded before its turn. Where the frame cannot be held meanwhile, it is a copy of a piece, and the frame
    /// is taken once more for the next: a reader may be slow, and there may be many.
    fn pass<E: From<Error>>(
        &self,
        (content, number): FrameKey,
        early: Result<Option<HeldFrame<'_>>>,
        range: &Range<u64>,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.starts[content][number];
        let held = match early? {
            Some(frame) => Some(frame),
            None => self.hold((content, number), SpareMemory::take)?,
        };
        if let Some(frame) = held {
            return sink(part_of(&frame.bytes, start, range));
        }
        let end = range.end.min(start + self.head.contents[content].frames[number].length);
        let mut at = range.start.max(start);
        while at < end {
            let next = end.min(at + PIECE);
            let piece = part_of(&self.limited(content, number)?, start, &(at..next)).to_vec();
            sink(&piece)?;
            at = next;
        }
        Ok(())
    }

    /// A frame, decoded while no more memory is taken than may be. Nobody waits for memory with some in hand: a reader gives
    /// all of it back before it passes the frame on.
    fn limited(&self, content: usize, number: usize) -> Result<Arc<Vec<u8>>> {
        let _taken = self.memory.take_up_to(self.needs[content][number]);
        self.frame((content, number))
    }

    /// A frame from the cache, or decoded now; of several threads that want the same one, one decodes it.
    fn frame(&self, key: FrameKey) -> Result<Arc<Vec<u8>>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        while cache.is_underway(key) {
            cache = self.decoded.wait(cache).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(bytes) = cache.get(key) {
            return Ok(bytes);
        }
        cache.begin(key);
        drop(cache);
        // Frames need only frames before them, so threads that wait for each other come to an end.
        let mut underway = UnderwayFrame { frames: self, key, bytes: None };
        let bytes = Arc::new(self.decode(key)?);
        underway.bytes = Some(Arc::clone(&bytes));
        Ok(bytes)
    }

    fn decode(&self, (content, number): FrameKey) -> Result<Vec<u8>> {
        let frame = &self.head.contents[content].frames[number];
        let offset = self.places[content][number];
        let coded = self.file.read_up_to(offset, frame.size).map_err(Error::read(&self.path))?;
        let damaged = |reason: &str| {
            let (path, offset) = self.file.damage(&(offset..offset + frame.size));
            Error::Damaged { path: path.to_owned(), offset, reason: reason.to_owned() }
        };
        if coded.len() as u64 != frame.size {
            return Err(damaged("it ends there"));
        }
        if Digest::sha256(&coded) != frame.digest {
            return Err(damaged("a frame does not have its digest"));
        }
        if frame.coding == FrameCoding::Stored {
            return Ok(coded);
        }
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        let decompress = |prefix: &[u8]| codec::decompress(&coded, prefix, length).map_err(damaged);
        if let [part] = frame.prefix[..]
            && part.source == PrefixSource::Base
        {
            return self.with_base(&part, decompress)?;
        }
        let mut prefix = Vec::with_capacity(usize::try_from(super::head::prefix_bytes(frame)).unwrap_or(0));
        for part in &frame.prefix {
            self.add_part(part, &mut prefix)?;
        }
        decompress(&prefix)
    }

    fn add_part(&self, part: &PrefixPart, prefix: &mut Vec<u8>) -> Result<()> {
        let range = part.from..part.from + part.size;
        if part.source == PrefixSource::Base {
            return self.with_base(part, |bytes| prefix.extend_from_slice(bytes));
        }
        for number in touched(&self.starts[part.number], range.start, range.end) {
            let frame = self.frame((part.number, number))?;
            prefix.extend_from_slice(part_of(&frame, self.starts[part.number][number], &range));
        }
        Ok(())
    }

    /// Gives a part of a base layer to `take`, from a window that another frame left if there is one.
    fn with_base<T>(&self, part: &PrefixPart, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let layer = &self.head.base[part.number];
        let missing = || Error::BaseMissing { path: self.path.clone(), missing: 1, first: layer.digest };
        let left = self.cache.lock().unwrap_or_else(PoisonError::into_inner).take_window(part);
        let base = self.base.as_ref().ok_or_else(missing)?;
        let mut window = match left {
            Some(window) => window,
            None => Window::new(base.open(&layer.digest, layer.gzip)?),
        };
        let unread = |source| Error::read(&base.place(&layer.digest))(source);
        let bytes = window.slide(part.from, part.size).map_err(unread)?;
        let taken = take(bytes.ok_or_else(missing)?);
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).keep_window(part.number, window);
        Ok(taken)
    }
}

/// The part of a frame that begins at `start` of its content that is in `range`.
fn part_of<'a>(frame: &'a [u8], start: u64, range: &Range<u64>) -> &'a [u8] {
    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(frame.len());
    &frame[within(range.start)..within(range.end)]
}
