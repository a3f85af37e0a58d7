//! Blobs of a packed file, made again from their contents.

use std::{fmt, ops::Range, path::Path};

use super::{
    Error, Result,
    deflate::{CheckpointError, Checkpoints, MemberList, MembersEncodeError, MembersEncoder, Recipe},
    frames::{Frames, Stopped},
    head::PackedBlob,
    segments::Segments,
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
    let outcome = match blob.member_list(frames.path())? {
        None => {
            let (from, to) = (place.start + range.start, place.start + range.end.min(blob.length));
            frames.read(place.content, from..to, sink)
        }
        Some(list) => match (blob.mark_list(frames.path())?, list.iter().next()) {
            (Some(marks), Some((recipe, length))) if length >= PARALLEL => {
                encode_segments(frames, blob, (recipe, &marks), place, range, sink)
            }
            _ => encode(frames, blob, &list, place, range, sink),
        },
    };
    match outcome {
        Err(Stopped::Failed(error)) => Err(*error),
        Ok(()) | Err(Stopped::Enough) => Ok(()),
    }
}

fn encode(
    frames: &Frames,
    blob: &PackedBlob,
    list: &MemberList,
    place: BlobPlace,
    range: Range<u64>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut output = Clipped { range, at: 0, size: blob.size, blob, path: frames.path(), sink };
    let stopped = |error| match error {
        MembersEncodeError::Sink(stopped) => stopped,
        MembersEncodeError::Excess { .. } | MembersEncodeError::Short { .. } => unfit(blob, frames.path()),
    };
    let mut encoder = MembersEncoder::new(list);
    frames.read(place.content, place.start..place.start + blob.length, &mut |content: &[u8]| {
        encoder.write(content, &mut |made: &[u8]| output.add(made)).map_err(stopped)
    })?;
    encoder.finish(&mut |made: &[u8]| output.add(made)).map_err(stopped)?;
    if output.at == blob.size { Ok(()) } else { Err(unfit(blob, frames.path())) }
}

fn encode_segments(
    frames: &Frames,
    blob: &PackedBlob,
    (recipe, marks): (&Recipe, &Checkpoints),
    place: BlobPlace,
    range: Range<u64>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let path = frames.path();
    let failed = |source: CheckpointError| {
        Stopped::from(Error::Checkpoints { path: path.to_owned(), blob: blob.digest, source })
    };
    let segments = Segments::new(recipe, marks, blob.length, range.start).map_err(failed)?;
    let mut output = Clipped { range, at: segments.output_start(), size: blob.size, blob, path, sink };
    let content = place.start + segments.content_start().min(blob.length)..place.start + blob.length;
    segments.run(
        |give| frames.read(place.content, content, &mut |bytes: &[u8]| give(bytes)),
        &failed,
        &mut |made| output.add(made),
    )?;
    if output.at == blob.size { Ok(()) } else { Err(unfit(blob, path)) }
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
