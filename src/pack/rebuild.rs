//! Blobs of a packed file, made again from their contents.

use std::{fmt, ops::Range, path::Path, thread};

use super::{
    Error, Result,
    deflate::{CheckpointError, Checkpoints, MemberList, MembersEncodeError, MembersEncoder, Recipe},
    frames::{Frames, Stopped},
    head::PackedBlob,
    nested::{NestedEncoder, NestedStreams},
    segments::{Segments, memory_of},
};

/// Content from which on several cores make a blob.
const PARALLEL: u64 = 8 << 20;

/// A blob: of which content, and where in it its own content begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlobPlace {
    pub(super) content: usize,
    pub(super) blob: usize,
    pub(super) start: u64,
}

/// Gives the bytes `range` of a blob to `sink`, which may say that it has enough.
pub(super) fn rebuild(
    frames: &Frames,
    place: BlobPlace,
    range: Range<u64>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<()> {
    let blob = &frames.head().contents[place.content].blobs[place.blob];
    let path = frames.path();
    let source = BlobContent { frames, blob, nested: blob.nested_list(path)?, place };
    let outcome = match blob.member_list(path)? {
        None => source.read(range.start..range.end.min(source.length()), sink),
        Some(list) => match (blob.mark_list(path)?, list.iter().next()) {
            (Some(marks), Some((recipe, length))) if length >= PARALLEL => {
                encode_segments(&source, (recipe, &marks), range, sink)
            }
            _ => encode(&source, &list, range, sink),
        },
    };
    match outcome {
        Err(Stopped::Failed(error)) => Err(*error),
        Ok(()) | Err(Stopped::Enough) => Ok(()),
    }
}

/// The content of a blob.
struct BlobContent<'a> {
    frames: &'a Frames,
    blob: &'a PackedBlob,
    nested: Option<NestedStreams>,
    place: BlobPlace,
}

impl BlobContent<'_> {
    fn length(&self) -> u64 {
        self.nested.as_ref().map_or(self.blob.length, |nested| nested.content)
    }

    /// Gives a part of it to `sink`. Streams in it are made from the beginning on.
    fn read(&self, part: Range<u64>, sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>) -> Result<(), Stopped> {
        let Self { frames, blob, nested, place } = self;
        let Some(nested) = nested else {
            return frames.read(place.content, place.start + part.start..place.start + part.end, sink);
        };
        let mut output = Clipped { range: part, at: 0, size: nested.content, blob, path: frames.path(), sink };
        let mut encoder = NestedEncoder::new(nested);
        frames.read(place.content, place.start..place.start + blob.length, &mut |bytes: &[u8]| {
            encoder.write(bytes, &mut |made: &[u8]| output.add(made))
        })?;
        output.ended()
    }
}

fn encode(
    source: &BlobContent<'_>,
    list: &MemberList,
    range: Range<u64>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let (blob, path) = (source.blob, source.frames.path());
    let mut output = Clipped { range, at: 0, size: blob.size, blob, path, sink };
    let stopped = |error| match error {
        MembersEncodeError::Sink(stopped) => stopped,
        MembersEncodeError::Excess { .. } | MembersEncodeError::Short { .. } => unfit(blob, path),
    };
    let mut encoder = MembersEncoder::new(list);
    source.read(0..source.length(), &mut |content: &[u8]| {
        encoder.write(content, &mut |made: &[u8]| output.add(made)).map_err(stopped)
    })?;
    encoder.finish(&mut |made: &[u8]| output.add(made)).map_err(stopped)?;
    output.ended()
}

fn encode_segments(
    source: &BlobContent<'_>,
    (recipe, marks): (&Recipe, &Checkpoints),
    range: Range<u64>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let (blob, path, length) = (source.blob, source.frames.path(), source.length());
    let failed = |source: CheckpointError| {
        Stopped::from(Error::Checkpoints { path: path.to_owned(), blob: blob.digest, source })
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let each = memory_of(marks, length).map_err(failed)?;
    let (threads, _memory) = source.frames.segment_memory().take_some(cores, each);
    let segments = Segments::new((recipe, marks), length, range.start, threads).map_err(failed)?;
    let mut output = Clipped { range, at: segments.output_start(), size: blob.size, blob, path, sink };
    let content = segments.content_start().min(length)..length;
    segments
        .run(|give| source.read(content, &mut |bytes: &[u8]| give(bytes)), &failed, &mut |made| output.add(made))?;
    output.ended()
}

fn unfit(blob: &PackedBlob, path: &Path) -> Stopped {
    Error::Unfit { path: path.to_owned(), blob: blob.digest, size: blob.size }.into()
}

/// Passes on what is in a range of the output, and no more than the blob has.
struct Clipped<'a, S> {
    range: Range<u64>,
    at: u64,
    size: u64,
    blob: &'a PackedBlob,
    path: &'a Path,
    sink: &'a mut S,
}

impl<S: FnMut(&[u8]) -> Result<(), Stopped>> Clipped<'_, S> {
    /// All was given: it must have been as much as there is.
    fn ended(&self) -> Result<(), Stopped> {
        if self.at == self.size { Ok(()) } else { Err(unfit(self.blob, self.path)) }
    }

    fn add(&mut self, made: &[u8]) -> Result<(), Stopped> {
        let start = self.at;
        self.at += made.len() as u64;
        if self.at > self.size {
            return Err(unfit(self.blob, self.path));
        }
        let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(made.len());
        let (from, to) = (within(self.range.start), within(self.range.end));
        if from < to {
            (self.sink)(&made[from..to])?;
        }
        // What follows the range of a part is not made.
        if self.at >= self.range.end && self.range.end < self.size { Err(Stopped::Enough) } else { Ok(()) }
    }
}

impl<S> fmt::Debug for Clipped<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clipped({} at {})", self.blob.digest, self.at)
    }
}
