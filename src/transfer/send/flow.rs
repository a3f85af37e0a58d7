//! The file flowing past, once and in order: hashed, cut into parts, and let go part by part.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    buffers::Buffers,
    md5::Md5s,
    stop::{Stop, broken_task},
};
use crate::{
    bundle::Layout,
    content,
    oci::{Algorithm, Digest, Hasher, hasher::STATE},
    progress::{Event, Progress},
    storage::{self, Body, PartCheckpoint, Parts, Pinned, Sums, Upload, parts},
};

/// A stretch of the file whose bytes no plan has.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// Of its first byte.
    pub(super) offset: u64,
    pub(super) size: u64,
    /// What it must have; `None` of a file of which nothing is known before its end.
    pub(super) digest: Option<Digest>,
    /// What observers know it by.
    pub(super) token: Digest,
}

impl Content {
    pub(super) const fn end(&self) -> u64 {
        self.offset + self.size
    }

    fn algorithm(&self) -> Algorithm {
        self.digest.map_or(Algorithm::Sha256, |digest| digest.algorithm())
    }
}

/// A stretch of the file.
#[derive(Clone, Debug)]
pub(crate) enum FilePart {
    /// Bytes that the plan fixes, and where they begin.
    Frame(u64, Bytes),
    /// Bytes that come from elsewhere.
    Content(Content),
}

/// What the file consists of, in its order.
#[derive(Clone, Debug)]
pub(crate) enum FileParts<'a> {
    /// The parts of a bundle, made one by one: of very many blobs the headers alone take more memory than a part that is sent.
    Bundle(&'a Layout),
    /// These.
    Listed(Vec<FilePart>),
}

impl FileParts<'_> {
    /// A file of `size` bytes that is not a bundle.
    pub(crate) fn of_file(size: u64, token: Digest) -> Self {
        Self::Listed(vec![FilePart::Content(Content { offset: 0, size, digest: None, token })])
    }

    /// All of them.
    fn iter(&self) -> Box<dyn Iterator<Item = FilePart> + Send + '_> {
        match self {
            Self::Bundle(layout) => {
                // Behind the head, each piece of the frame but the last ends where a blob begins.
                let mut contents = contents(layout);
                let head = layout.head_entries().map(|(offset, bytes)| FilePart::Frame(offset, bytes));
                let parts = layout.headers().flat_map(move |(offset, bytes)| {
                    std::iter::once(FilePart::Frame(offset, bytes)).chain(contents.next().map(FilePart::Content))
                });
                Box::new(head.chain(parts))
            }
            Self::Listed(parts) => Box::new(parts.iter().cloned()),
        }
    }

    /// Those whose bytes come from elsewhere.
    pub(super) fn contents(&self) -> Box<dyn Iterator<Item = Content> + '_> {
        match self {
            Self::Bundle(layout) => Box::new(contents(layout)),
            Self::Listed(parts) => Box::new(parts.iter().filter_map(|part| match part {
                FilePart::Frame(..) => None,
                FilePart::Content(content) => Some(content.clone()),
            })),
        }
    }
}

/// The blobs of a bundle.
fn contents(layout: &Layout) -> impl Iterator<Item = Content> {
    let mut segments = layout.facts().volume.iter().flat_map(|volume| &volume.segments);
    layout.blobs().iter().map(move |place| {
        // What lies in a volume of a blob that is cut has a digest of its own.
        let digest = if place.segment.is_some() { segments.next().copied() } else { Some(place.digest) };
        Content { offset: place.offset, size: place.size(), digest, token: place.digest }
    })
}

/// Where the bytes come from.
pub(crate) trait ByteSupply: Sync {
    /// Everything from byte `position` of the file on; `tries` says how often a blob came wrong.
    fn feed<'s>(&'s self, position: u64, tries: &'s HashMap<Digest, u32>) -> Box<dyn ByteFeed + 's>;
}

/// Bytes as the file needs them.
#[async_trait]
pub(crate) trait ByteFeed: Send {
    /// The bytes that the plan has at `offset` go by; a reader of a whole file compares them.
    async fn frame(&mut self, offset: u64, expected: &Bytes) -> Result<(), Stop>;

    /// `content` is what is wanted next.
    fn begin(&mut self, content: &Content);

    /// Its next bytes, of which `left` are lacking; `None` where there are no more.
    async fn chunk(&mut self, content: &Content, left: u64) -> Result<Option<Bytes>, Stop>;
}

/// How parts get to where they go.
#[derive(Clone, Debug)]
pub(crate) enum SendMode {
    /// They are sent.
    Put,
    /// The storage takes them from this object by itself, and holds them against what went by here.
    Take(Pinned),
}

/// What is in the part that fills, and the hashes over what went by.
pub(super) struct Flow<'a> {
    pub(super) upload: Arc<dyn Upload>,
    pub(super) way: SendMode,
    pub(super) parts: Parts,
    /// The parts that are there.
    pub(super) known: Vec<(u32, PartCheckpoint)>,
    pub(super) jobs: usize,
    /// The part that fills.
    pub(super) number: u32,
    pub(super) filling: Filling,
    pub(super) buffers: Buffers,
    /// Over the whole file, and over the part.
    pub(super) md5: Md5s,
    /// Over the whole file too, where it is wanted.
    pub(super) sum: Option<Hasher>,
    pub(super) passing: Option<Passing>,
    /// The digest of what had none before.
    pub(super) learnt: Option<Digest>,
    pub(super) sending: JoinSet<storage::Result<()>>,
    pub(super) notes: &'a mut Vec<Option<PartCheckpoint>>,
}

/// The part that fills.
pub(super) enum Filling {
    /// Its bytes, to be sent.
    Bytes(Vec<u8>),
    /// Its SHA-256 and its length, for a copy to elsewhere.
    Sums(Box<Hasher>, usize),
}

impl Filling {
    pub(super) fn new(way: &SendMode, buffers: &Buffers) -> Self {
        match way {
            SendMode::Put => Self::Bytes(buffers.take()),
            SendMode::Take(_) => Self::Sums(Box::new(Hasher::new(Algorithm::Sha256)), 0),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sums(_, length) => *length,
        }
    }

    fn add(&mut self, piece: &[u8], full: usize) {
        match self {
            Self::Bytes(bytes) => {
                if bytes.capacity() < full {
                    bytes.reserve_exact(full - bytes.len());
                }
                bytes.extend_from_slice(piece);
            }
            Self::Sums(hasher, length) => {
                hasher.update(piece);
                *length += piece.len();
            }
        }
    }
}

/// The content that is going by.
pub(super) struct Passing {
    content: Content,
    hasher: Hasher,
    seen: u64,
}

impl Flow<'_> {
    /// Everything from `position` on, in the middle of the content that `hasher` has taken in so far, if there is one.
    pub(super) async fn run(
        &mut self,
        parts: &FileParts<'_>,
        position: u64,
        mut hasher: Option<Hasher>,
        feed: &mut dyn ByteFeed,
        progress: &Progress,
    ) -> Result<(), Stop> {
        for part in parts.iter() {
            match part {
                FilePart::Frame(offset, bytes) => {
                    let skip = usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX);
                    let rest = bytes.slice(skip.min(bytes.len())..);
                    feed.frame(position.max(offset), &rest).await?;
                    self.append(rest).await?;
                }
                // What ends where we begin was looked at before its part left; what is empty and lies here was not.
                FilePart::Content(content) if content.end() <= position && content.offset < position => {}
                FilePart::Content(content) => {
                    let seen = position.saturating_sub(content.offset);
                    let resumed = if seen > 0 { hasher.take() } else { None };
                    let hasher = resumed.unwrap_or_else(|| Hasher::new(content.algorithm()));
                    progress.tell(Event::Started { blob: content.token, size: content.size });
                    if seen > 0 {
                        progress.tell(Event::Advanced { blob: content.token, bytes: seen });
                    }
                    self.passing = Some(Passing { content: content.clone(), hasher, seen });
                    self.take(&content, feed).await?;
                    progress.tell(Event::Finished { blob: content.token });
                }
            }
        }
        if self.filling.len() > 0 {
            self.emit().await?;
        }
        Ok(())
    }

    async fn take(&mut self, content: &Content, feed: &mut dyn ByteFeed) -> Result<(), Stop> {
        feed.begin(content);
        if content.size == 0 {
            return self.prove();
        }
        let wrong = |actual| {
            let (digest, expected) = (content.token, content.size);
            Stop::Blob(digest, content::Error::SizeMismatch { digest, expected, actual })
        };
        while let Some(passing) = &self.passing {
            let (seen, left) = (passing.seen, content.size - passing.seen);
            let chunk = feed.chunk(content, left).await?.ok_or_else(|| wrong(seen))?;
            if chunk.len() as u64 > left {
                return Err(wrong(seen + chunk.len() as u64));
            }
            self.append(chunk).await?;
        }
        Ok(())
    }

    /// Takes in the next bytes of the file. Those that end a blob are looked at before any part with them is sent.
    async fn append(&mut self, mut bytes: Bytes) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let range = self.parts.range(self.number);
            let full = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let piece = bytes.split_to(bytes.len().min(full - self.filling.len()));
            self.md5.update(&piece, self.passing.as_mut().map(|passing| &mut passing.hasher));
            if let Some(sum) = &mut self.sum {
                sum.update(&piece);
            }
            if let Some(passing) = &mut self.passing {
                passing.seen += piece.len() as u64;
                if passing.seen == passing.content.size {
                    self.prove()?;
                }
            }
            self.filling.add(&piece, full);
            if self.filling.len() == full {
                self.emit().await?;
            }
        }
        Ok(())
    }

    fn prove(&mut self) -> Result<(), Stop> {
        let Some(Passing { content, hasher, .. }) = self.passing.take() else { return Ok(()) };
        let actual = hasher.finish();
        match content.digest {
            None => {
                self.learnt = Some(actual);
                Ok(())
            }
            Some(expected) if expected == actual => Ok(()),
            Some(expected) => Err(Stop::Blob(content.token, content::Error::DigestMismatch { expected, actual })),
        }
    }

    /// The part is full: it leaves, unless it is there.
    async fn emit(&mut self) -> Result<(), Stop> {
        let mut note = [0; parts::NOTE];
        let sha = self.passing.as_ref().and_then(|passing| passing.hasher.state());
        note[..STATE].copy_from_slice(&sha.unwrap_or_default());
        note[STATE..].copy_from_slice(&self.md5.state());
        let (number, note, md5) = (self.number, PartCheckpoint(note), self.md5.part());
        let filled = std::mem::replace(&mut self.filling, Filling::Bytes(Vec::new()));
        if let Some(slot) = self.notes.get_mut(usize::try_from(number).unwrap_or(usize::MAX)) {
            *slot = Some(note);
        }
        self.number += 1;
        if self.known.contains(&(number, note)) {
            if let Filling::Bytes(body) = filled {
                drop(self.buffers.lend(body));
            }
            self.filling = Filling::new(&self.way, &self.buffers);
            return Ok(());
        }
        // One part fills while the others leave.
        while self.sending.len() >= self.jobs.saturating_sub(1).max(1) {
            if let Some(sent) = self.sending.join_next().await {
                sent.map_err(|error| broken_task(&error))??;
            }
        }
        let (upload, range) = (Arc::clone(&self.upload), self.parts.range(number));
        match (filled, &self.way) {
            (Filling::Bytes(body), _) => {
                let body = Body { bytes: self.buffers.lend(body), md5: Some(md5) };
                self.sending.spawn(async move { upload.put(number, note, body).await });
            }
            (Filling::Sums(hasher, _), SendMode::Take(source)) => {
                let (source, sums) = (source.clone(), Sums { md5, sha256: hasher.finish() });
                self.sending.spawn(async move {
                    let what = || source.object().location().to_string();
                    let unable = || storage::Error::Protocol { what: what(), reason: "nothing takes from it".into() };
                    let taker = upload.takes_from().ok_or_else(unable)?;
                    taker.take(number, note, &source, range, &sums).await
                });
            }
            (Filling::Sums(..), SendMode::Put) => unreachable!("a part that is put keeps its bytes"),
        }
        self.filling = Filling::new(&self.way, &self.buffers);
        Ok(())
    }
}
