//! The frames of one content, read from the bundle and coded one after another.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{
    Error, Result,
    blob_read::{BundleBlobs, content},
    codec,
    expand::Expanded,
    frames::BaseContents,
    frames_file::{FramesFile, WrittenFrame},
    head::{BaseLayer, FrameCoding, PackFrame, PrefixPart, PrefixSource},
    memory::MemoryLimit,
    nested::NestedStreams,
    plan::{PlannedContent, PlannedFrame, SurveyedBlob},
    window::Window,
};
use crate::oci::Digest;

/// Bytes of a content that are expanded at a time.
const BUFFER: usize = 64 << 10;

/// What all frames are made of.
pub(super) struct Encoding<'a> {
    pub(super) blobs: &'a BundleBlobs,
    pub(super) surveyed: &'a [SurveyedBlob],
    pub(super) contents: &'a [PlannedContent],
    pub(super) front: &'a [u8],
    pub(super) base: Option<&'a dyn BaseContents>,
    pub(super) layers: &'a [BaseLayer],
    pub(super) level: i32,
    /// What all threads that code may take.
    pub(super) memory: &'a MemoryLimit,
    /// Where frames are written; without it they are only measured.
    pub(super) to: Option<&'a FramesFile>,
    pub(super) path: &'a Path,
}

/// How a content was coded.
#[derive(Clone, Debug)]
pub(super) struct EncodedContent {
    pub(super) frames: Vec<WrittenFrame>,
    /// Whether its one blob is stored as it is.
    pub(super) verbatim: bool,
}

impl EncodedContent {
    pub(super) fn size(&self) -> u64 {
        self.frames.iter().map(|written| written.frame.size).sum()
    }
}

impl Encoding<'_> {
    /// Codes a content; `each` gets the length of each frame.
    pub(super) fn encode(&self, number: usize, mut each: impl FnMut(u64) -> Result<()>) -> Result<EncodedContent> {
        let planned = &self.contents[number];
        let single = match planned.blobs[..] {
            [blob] if number > 0 => Some(&self.surveyed[blob]),
            _ => None,
        };
        if let Some(one) = single.filter(|one| one.survey.gzip && one.survey.recipe.is_none()) {
            return self.store(number, one, planned, each);
        }
        let _memory = self.memory.take_up_to(self.memory_of(planned));
        let mut source = self.read(number);
        let mut window = None;
        let (mut before, mut frames) = (Vec::new(), Vec::new());
        for (at, frame) in planned.frames.iter().enumerate() {
            let bytes = exactly(&mut source, frame.length).map_err(Error::read(self.path))?;
            frames.push(self.frame(number, at, frame, &bytes, &before, &mut window)?);
            before = bytes;
            each(frame.length)?;
        }
        let encoded = EncodedContent { frames, verbatim: false };
        match single {
            // Below a twentieth the decoding is not worth its time.
            Some(one) if !planned.referenced && encoded.size() * 20 > one.blob.size * 19 => {
                self.store(number, one, planned, |_| Ok(()))
            }
            _ => Ok(encoded),
        }
    }

    /// Bytes of memory that coding a frame of it takes at the most: this one and the one before, the prefix and what it is cut from,
    /// and the result.
    fn memory_of(&self, planned: &PlannedContent) -> u64 {
        let frame = |frame: &PlannedFrame| {
            let prefix: u64 = frame.prefix.iter().map(|part| part.size).sum();
            3 * frame.length + 2 * prefix
        };
        planned.frames.iter().map(frame).max().unwrap_or(0) + codec::memory_of(self.level)
    }

    fn frame(
        &self,
        content: usize,
        number: usize,
        planned: &PlannedFrame,
        bytes: &[u8],
        before: &[u8],
        window: &mut Option<Window>,
    ) -> Result<WrittenFrame> {
        let fits = |frame: &PackFrame| {
            let same = frame.prefix == planned.prefix && frame.length == planned.length;
            same && frame.coding == FrameCoding::Zstd
        };
        if let Some(earlier) = self.to.and_then(|to| to.earlier(content, number, fits)) {
            return Ok(earlier);
        }
        let mut prefix = Vec::new();
        for part in &planned.prefix {
            if part.source == PrefixSource::Content && part.number == content {
                prefix.extend_from_slice(before);
                continue;
            }
            let window = match window {
                Some(window) if window.start() <= part.from => window,
                _ => window.insert(Window::new(self.open(part)?)),
            };
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            let bytes = window.slide(part.from, part.size).and_then(|bytes| bytes.ok_or(short));
            prefix.extend_from_slice(bytes.map_err(Error::read(self.path))?);
        }
        let coded = codec::compress(bytes, &prefix, self.level, self.path)?;
        self.write(content, number, FrameCoding::Zstd, planned.prefix.clone(), bytes.len(), &coded)
    }

    fn write(
        &self,
        content: usize,
        number: usize,
        coding: FrameCoding,
        prefix: Vec<PrefixPart>,
        length: usize,
        coded: &[u8],
    ) -> Result<WrittenFrame> {
        let (digest, size) = (Digest::sha256(coded), coded.len() as u64);
        let frame = PackFrame { coding, digest, length: length as u64, prefix, size };
        match self.to {
            Some(to) => to.write(content, number, frame, coded),
            None => Ok(WrittenFrame { offset: 0, frame }),
        }
    }

    /// Stores a blob as it is.
    fn store(
        &self,
        content: usize,
        one: &SurveyedBlob,
        planned: &PlannedContent,
        mut each: impl FnMut(u64) -> Result<()>,
    ) -> Result<EncodedContent> {
        let most = planned.frames.iter().map(|frame| frame.length).max().unwrap_or(1);
        let mut source = self.blobs.open(&one.blob)?;
        let mut frames = Vec::new();
        let mut left = one.blob.size;
        while left > 0 {
            let bytes = exactly(&mut source, left.min(most)).map_err(Error::read(self.path))?;
            left -= bytes.len() as u64;
            let number = frames.len();
            let fits = |frame: &PackFrame| frame.coding == FrameCoding::Stored && frame.length == bytes.len() as u64;
            let earlier = self.to.and_then(|to| to.earlier(content, number, fits));
            frames.push(match earlier {
                Some(earlier) => earlier,
                None => self.write(content, number, FrameCoding::Stored, Vec::new(), bytes.len(), &bytes)?,
            });
            each(bytes.len() as u64)?;
        }
        Ok(EncodedContent { frames, verbatim: true })
    }

    /// A content from its beginning.
    fn read(&self, number: usize) -> Box<dyn Read + Send> {
        let planned = &self.contents[number];
        let mut source: Box<dyn Read + Send> = match number {
            0 => Box::new(io::Cursor::new(self.front.to_vec())),
            _ => Box::new(io::empty()),
        };
        for &blob in &planned.blobs {
            let SurveyedBlob { blob, survey } = &self.surveyed[blob];
            let expanded = survey.expanded.as_ref().filter(|_| planned.expanded);
            let nested = expanded.map(|expanded| expanded.nested.clone());
            let gzip = survey.recipe.is_some();
            let next = Later { blobs: self.blobs.clone(), blob: blob.clone(), gzip, nested, open: None };
            source = Box::new(source.chain(next));
        }
        source
    }

    fn open(&self, part: &PrefixPart) -> Result<Box<dyn Read + Send>> {
        match part.source {
            PrefixSource::Content => Ok(self.read(part.number)),
            PrefixSource::Base => {
                let layer = &self.layers[part.number];
                let missing = || Error::BaseMissing { path: self.path.to_owned(), missing: 1, first: layer.digest };
                self.base.ok_or_else(missing)?.open(&layer.digest, layer.gzip)
            }
        }
    }
}

/// A content that is opened when it is read: of many small ones few are open at a time.
struct Later {
    blobs: BundleBlobs,
    blob: crate::oci::Descriptor,
    gzip: bool,
    /// The streams that are expanded, as a head has them.
    nested: Option<String>,
    open: Option<Box<dyn Read + Send>>,
}

impl Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.open.is_none() {
            let blob = self.blobs.open(&self.blob).map_err(io::Error::other)?;
            let content = content(blob, self.gzip);
            let list = self.nested.take().map(|text| NestedStreams::parse(&text)).transpose();
            self.open = Some(match list.map_err(io::Error::other)? {
                None => content,
                Some(list) => Box::new(Expanded::new(io::BufReader::with_capacity(BUFFER, content), list)),
            });
        }
        let read = self.open.as_mut().map_or(Ok(0), |open| open.read(buffer))?;
        if read == 0 {
            self.open = Some(Box::new(io::empty()));
        }
        Ok(read)
    }
}

/// Exactly `length` bytes.
fn exactly(source: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    source.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
