//! What a blob is: by which recipe it is made, if by one that is known, and what its content looks like.
//!
//! A recipe is kept only after all of the blob was made again by it and compared, byte by byte: here, or where the packed file is
//! proven.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
};

use flate2::bufread::GzDecoder;
use serde::{Deserialize, Serialize};

use super::{
    Result,
    deflate::{Checkpoints, Encoder, Engine, Framing, GzipHeader, MarkScanner, MemberList, Recipe, agrees, detect},
    expand::{ExpandedSurvey, StreamFinder},
    head,
    sketch::Sketch,
};

/// The content by which encoders are told apart: a block of pgzip and some more.
const TRIAL: usize = 1_300_000;

/// Bytes of content that are read at a time.
const STEP: usize = 256 << 10;

/// Content between two places at which an encoder can be resumed.
const MARKS: u64 = 4 << 20;

/// The most recipes that are tried on all of a blob.
const MOST_TRIES: usize = 64;

/// The most members that are looked at.
const MOST_MEMBERS: usize = 100_000;

/// What a blob is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlobSurvey {
    /// The list of members, as a head has it, if the blob can be made again.
    pub(super) recipe: Option<String>,
    /// The checkpoints, as a head has them, if there are any.
    pub(super) checkpoints: Option<String>,
    /// Bytes of its content.
    pub(super) length: u64,
    /// What its content looks like.
    pub(super) sketch: Sketch,
    /// Its content expanded, if that is worth it.
    pub(super) expanded: Option<ExpandedSurvey>,
    /// Whether it is a gzip stream.
    pub(super) gzip: bool,
}

impl BlobSurvey {
    /// Bytes of its content, expanded or as it is.
    pub(super) fn length(&self, expanded: bool) -> u64 {
        self.expanded.as_ref().filter(|_| expanded).map_or(self.length, |expanded| expanded.length)
    }
}

/// What a recipe must show before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecipeTrial {
    /// That it makes all of the blob.
    Whole,
    /// No recipe is believed.
    None,
    /// That it alone makes the beginning, and that the blocks are those of its framing. The packed file must be proven.
    Beginning,
}

/// Looks at all of a blob, which `open` gives from its beginning.
pub(super) fn survey<R: BufRead>(
    trial: RecipeTrial,
    open: impl Fn() -> Result<R>,
    failed: impl Fn(io::Error) -> super::Error,
) -> Result<BlobSurvey> {
    let mut first = open()?;
    let gzip = first.fill_buf().map_err(&failed)?.starts_with(&[0x1f, 0x8b]);
    drop(first);
    for skip in (0..MOST_TRIES).take_while(|_| gzip && trial != RecipeTrial::None) {
        match RecipeProof::of(open()?, trial, skip) {
            Ok(Some(survey)) => return Ok(survey),
            Err(Refuted::Next) => {}
            Err(Refuted::Doubtful) => return survey(RecipeTrial::Whole, open, failed),
            Ok(None) | Err(Refuted::Unreadable) => break,
        }
    }
    let mut finder = StreamFinder::new();
    let mut length = 0;
    let mut content = open()?;
    loop {
        let bytes = content.fill_buf().map_err(&failed)?;
        if bytes.is_empty() {
            let (sketch, expanded) = finder.finish();
            let expanded = expanded.filter(|_| !gzip);
            return Ok(BlobSurvey { recipe: None, checkpoints: None, length, sketch, expanded, gzip });
        }
        finder.update(bytes);
        length += bytes.len() as u64;
        let count = bytes.len();
        content.consume(count);
    }
}

/// Why a try came to nothing.
enum Refuted {
    /// Another recipe may agree with the beginning as well: try that.
    Next,
    /// What was believed after the beginning is not true of all.
    Doubtful,
    /// The stream cannot be decompressed; whether it can be read at all is seen elsewhere.
    Unreadable,
}

impl From<io::Error> for Refuted {
    fn from(_: io::Error) -> Self {
        Self::Unreadable
    }
}

/// A reader that keeps what was taken from it.
struct Kept<R> {
    inner: R,
    taken: VecDeque<u8>,
}

impl<R: BufRead> BufRead for Kept<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            self.taken.extend(&bytes[..count.min(bytes.len())]);
        }
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.inner.fill_buf()?[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The members of a stream as far as they were made again, or believed to be.
struct RecipeProof {
    trial: RecipeTrial,
    members: Vec<(Recipe, u64)>,
    checkpoints: Checkpoints,
    finder: StreamFinder,
}

/// The engine of a member; `None` if none is known.
type MemberEngine = Option<(Engine, Framing)>;

impl RecipeProof {
    /// The survey of a gzip stream. Of the recipes that agree with the beginning of the first member, `skip` are not tried.
    /// `None` if there is no recipe.
    fn of(stream: impl BufRead, trial: RecipeTrial, skip: usize) -> Result<Option<BlobSurvey>, Refuted> {
        let mut stream = Kept { inner: stream, taken: VecDeque::new() };
        let (checkpoints, finder) = (Checkpoints::default(), StreamFinder::new());
        let mut proof = Self { trial, members: Vec::new(), checkpoints, finder };
        while !stream.fill_buf()?.is_empty() {
            let skip = if proof.members.is_empty() { skip } else { 0 };
            if proof.members.len() == MOST_MEMBERS || !proof.member(&mut stream, skip)? {
                return Ok(None);
            }
        }
        let length = proof.members.iter().map(|(_, length)| length).sum();
        let (sketch, expanded) = proof.finder.finish();
        let marks = proof.members.len() == 1 && proof.checkpoints.segments() > 1;
        Ok(Some(BlobSurvey {
            checkpoints: marks.then(|| head::encode(&proof.checkpoints.encode())),
            recipe: Some(head::encode(&MemberList::new(proof.members).encode())),
            length,
            sketch,
            expanded,
            gzip: true,
        }))
    }

    /// Makes the next member again. `false` if no recipe makes it.
    fn member<R: BufRead>(&mut self, stream: &mut Kept<R>, skip: usize) -> Result<bool, Refuted> {
        stream.taken.clear();
        let before = self.members.last().map(|(recipe, _)| (recipe.engine, recipe.framing));
        let mut decoder = GzDecoder::new(&mut *stream);
        let mut content = Vec::new();
        (&mut decoder).take(TRIAL as u64).read_to_end(&mut content)?;
        self.finder.update(&content);
        let gzip = decoder.get_mut().taken.make_contiguous();
        if self.trial == RecipeTrial::Beginning && self.members.is_empty() && content.len() == TRIAL {
            let mut found = detect(gzip, &content);
            let Some(recipe) = found.next() else { return Ok(false) };
            if found.all(|other| other.engine == recipe.engine) {
                return self.believe(decoder, content, recipe);
            }
            return Err(Refuted::Doubtful);
        }
        let Some(recipe) = nth_recipe(gzip, &content, before, skip) else { return Ok(false) };
        let refuted = || if self.members.is_empty() { Refuted::Next } else { Refuted::Unreadable };
        let mut encoder = Encoder::with_checkpoints(&recipe, MARKS);
        let mut made = Compared::default();
        let mut length = 0;
        loop {
            let Ok(()) = encoder.write(&content, &mut |bytes: &[u8]| made.add(bytes));
            if !made.agrees(&mut decoder.get_mut().taken) {
                return Err(refuted());
            }
            length += content.len() as u64;
            content.resize(STEP, 0);
            let read = decoder.read(&mut content)?;
            content.truncate(read);
            if content.is_empty() {
                break;
            }
            self.finder.update(&content);
        }
        let Ok(checkpoints) = encoder.finish(&mut |bytes: &[u8]| made.add(bytes));
        let taken = &mut decoder.get_mut().taken;
        if !made.agrees(taken) || !taken.is_empty() || !made.0.is_empty() {
            return Err(refuted());
        }
        self.checkpoints = checkpoints;
        self.members.push((recipe, length));
        Ok(true)
    }

    /// Goes through the rest of a member that is taken to be made by `recipe`.
    fn believe<R: BufRead>(
        &mut self,
        mut decoder: GzDecoder<&mut Kept<R>>,
        mut content: Vec<u8>,
        recipe: Recipe,
    ) -> Result<bool, Refuted> {
        let mut scanner = MarkScanner::new(&recipe, MARKS);
        let mut length = 0;
        while !content.is_empty() {
            let taken = &mut decoder.get_mut().taken;
            scanner.update(taken.make_contiguous());
            taken.clear();
            length += content.len() as u64;
            content.resize(STEP, 0);
            let read = decoder.read(&mut content)?;
            content.truncate(read);
            self.finder.update(&content);
        }
        scanner.update(decoder.get_mut().taken.make_contiguous());
        self.checkpoints = scanner.finish(length).ok_or(Refuted::Doubtful)?;
        self.members.push((recipe, length));
        Ok(true)
    }
}

/// The recipe that agrees with the beginning of a member, after `skip` others; that of the member before is tried first.
fn nth_recipe(gzip: &[u8], content: &[u8], before: MemberEngine, skip: usize) -> Option<Recipe> {
    let known = before.zip(GzipHeader::parse(gzip).ok());
    let known = known.map(|((engine, framing), header)| Recipe { engine, framing, header: header.bytes().to_vec() });
    let known = known.filter(|recipe| agrees(recipe, gzip, content));
    known.or_else(|| detect(gzip, content).nth(skip))
}

/// What was made and not yet compared: an encoder may be ahead of the decoder by a few bytes.
#[derive(Default)]
struct Compared(VecDeque<u8>);

impl Compared {
    #[expect(clippy::unnecessary_wraps, reason = "the encoder's sink may fail")]
    fn add(&mut self, bytes: &[u8]) -> Result<(), std::convert::Infallible> {
        self.0.extend(bytes);
        Ok(())
    }

    /// Takes away what is in both, from the front; `false` where they differ.
    fn agrees(&mut self, expected: &mut VecDeque<u8>) -> bool {
        let common = self.0.len().min(expected.len());
        let same = self.0.make_contiguous()[..common] == expected.make_contiguous()[..common];
        self.0.drain(..common);
        expected.drain(..common);
        same
    }
}
