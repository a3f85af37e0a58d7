//! Decoded frames of a packed file, on demand: read, held against their digests, decoded, and kept as long as there is room.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use super::{
    Error, Result, codec,
    head::{FrameCoding, PackFrame, PackHead, PrefixPart, PrefixSource, starts_of, touched},
    memory::MemoryLimit,
};
use crate::{bundle::random_access::RandomAccess, oci::Digest};

/// Where the content of base layers comes from.
pub trait BaseContents: Send + Sync + fmt::Debug {
    /// The content of a base layer from its beginning: what gzip decompresses it to, where the head says so.
    fn open(&self, layer: &Digest, gzip: bool) -> Result<Box<dyn Read + Send>>;

    /// Whether it is there.
    fn has(&self, layer: &Digest) -> bool;
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

/// A frame, by the number of its content and its own within it.
type FrameKey = (usize, usize);

/// The frames of a packed file.
#[derive(Debug)]
pub(super) struct Frames {
    file: RandomAccess,
    path: PathBuf,
    head: PackHead,
    /// Where each frame is in the file.
    places: Vec<Vec<u64>>,
    /// Where each frame begins in its content.
    starts: Vec<Vec<u64>>,
    /// Memory that decoding takes.
    needs: Vec<Vec<u64>>,
    memory: MemoryLimit,
    cache: Mutex<FrameCache>,
    decoded: Condvar,
    base: Option<Arc<dyn BaseContents>>,
}

/// What was decoded last.
#[derive(Debug, Default)]
struct FrameCache {
    frames: HashMap<FrameKey, Arc<Vec<u8>>>,
    /// The one that was used last is at the end.
    order: VecDeque<FrameKey>,
    bytes: u64,
    limit: u64,
    /// What a thread is decoding now.
    underway: HashSet<FrameKey>,
}

impl Frames {
    /// The frames of a file of which `head` is the checked head, from `offset` on. `memory` is what decoding may take.
    ///
    /// # Errors
    /// It needs more memory than that.
    pub(super) fn new(
        file: RandomAccess,
        path: PathBuf,
        head: PackHead,
        mut offset: u64,
        memory: u64,
        base: Option<Arc<dyn BaseContents>>,
    ) -> Result<Self> {
        let needs = head.needs();
        let needed = needs.iter().flatten().copied().max().unwrap_or(0);
        // Half is for decoding, a quarter for what is kept, and the rest for the frames that readers are at.
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
        let cache = Mutex::new(FrameCache { limit: memory / 4, ..FrameCache::default() });
        let memory = MemoryLimit::new(memory / 2);
        Ok(Self { file, path, head, places, starts, needs, memory, cache, decoded: Condvar::new(), base })
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

    /// Gives the bytes `range` of a content to `sink`, frame by frame. Only one frame is held at a time.
    pub(super) fn read<E: From<Error>>(
        &self,
        content: usize,
        range: Range<u64>,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if range.is_empty() {
            return Ok(());
        }
        for number in touched(&self.starts[content], range.start, range.end) {
            let frame = self.limited(content, number)?;
            sink(part_of(&frame, self.starts[content][number], &range))?;
        }
        Ok(())
    }

    /// A frame, decoded while no more memory is taken than may be. Nobody waits for memory with some in hand: a reader gives
    /// all of it back before it passes the frame on.
    fn limited(&self, content: usize, number: usize) -> Result<Arc<Vec<u8>>> {
        let _taken = self.memory.take(self.needs[content][number]);
        self.frame((content, number))
    }

    /// A frame from the cache, or decoded now; of several threads that want the same one, one decodes it.
    fn frame(&self, key: FrameKey) -> Result<Arc<Vec<u8>>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        while cache.underway.contains(&key) {
            cache = self.decoded.wait(cache).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(bytes) = cache.get(key) {
            return Ok(bytes);
        }
        cache.underway.insert(key);
        drop(cache);
        // Frames need only frames before them, so threads that wait for each other come to an end.
        let outcome = self.decode(key).map(Arc::new);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.underway.remove(&key);
        if let Ok(bytes) = &outcome {
            cache.put(key, bytes);
        }
        drop(cache);
        self.decoded.notify_all();
        outcome
    }

    fn decode(&self, (content, number): FrameKey) -> Result<Vec<u8>> {
        let frame = &self.head.contents[content].frames[number];
        let offset = self.places[content][number];
        let mut prefix = Vec::with_capacity(usize::try_from(super::head::prefix_bytes(frame)).unwrap_or(0));
        for part in &frame.prefix {
            self.add_part(part, &mut prefix)?;
        }
        let coded = self.file.read_up_to(offset, frame.size).map_err(Error::read(&self.path))?;
        let damaged = |reason: &str| Error::Damaged { path: self.path.clone(), offset, reason: reason.to_owned() };
        if coded.len() as u64 != frame.size {
            return Err(damaged("it ends there"));
        }
        if Digest::sha256(&coded) != frame.digest {
            return Err(damaged("a frame does not have its digest"));
        }
        match frame.coding {
            FrameCoding::Stored => Ok(coded),
            FrameCoding::Zstd => {
                let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
                codec::decompress(&coded, &prefix, length).map_err(damaged)
            }
        }
    }

    fn add_part(&self, part: &PrefixPart, prefix: &mut Vec<u8>) -> Result<()> {
        let range = part.from..part.from + part.size;
        if part.source == PrefixSource::Base {
            return self.add_base(part, prefix);
        }
        for number in touched(&self.starts[part.number], range.start, range.end) {
            let frame = self.frame((part.number, number))?;
            prefix.extend_from_slice(part_of(&frame, self.starts[part.number][number], &range));
        }
        Ok(())
    }

    fn add_base(&self, part: &PrefixPart, prefix: &mut Vec<u8>) -> Result<()> {
        let layer = &self.head.base[part.number];
        let missing = || Error::BaseMissing { path: self.path.clone(), missing: 1, first: layer.digest };
        let base = self.base.as_ref().ok_or_else(missing)?;
        let mut content = base.open(&layer.digest, layer.gzip)?;
        let read = Error::read(&self.path);
        let copied = std::io::copy(&mut (&mut content).take(part.from), &mut std::io::sink());
        let copied = copied.and_then(|_| content.take(part.size).read_to_end(prefix)).map_err(read)?;
        if copied as u64 == part.size { Ok(()) } else { Err(missing()) }
    }
}

impl FrameCache {
    fn get(&mut self, key: FrameKey) -> Option<Arc<Vec<u8>>> {
        let bytes = Arc::clone(self.frames.get(&key)?);
        self.order.retain(|other| *other != key);
        self.order.push_back(key);
        Some(bytes)
    }

    fn put(&mut self, key: FrameKey, bytes: &Arc<Vec<u8>>) {
        let size = bytes.len() as u64;
        if size > self.limit {
            return;
        }
        while self.bytes + size > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.frames.remove(&oldest).map_or(0, |bytes| bytes.len() as u64);
        }
        self.bytes += size;
        self.frames.insert(key, Arc::clone(bytes));
        self.order.push_back(key);
    }
}

/// The part of a frame that begins at `start` of its content that is in `range`.
fn part_of<'a>(frame: &'a [u8], start: u64, range: &Range<u64>) -> &'a [u8] {
    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(frame.len());
    &frame[within(range.start)..within(range.end)]
}
