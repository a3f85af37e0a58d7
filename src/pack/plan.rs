//! What is coded in which order, and against what: a pure function of the surveys.

use std::collections::{BTreeSet, HashMap};

use super::{
    head::{PrefixPart, PrefixSource},
    survey::BlobSurvey,
};
use crate::oci::Descriptor;

/// Content below this is coded together with others.
const SMALL: u64 = 64 << 10;

/// Bytes of a frame of contents that are coded together: one of them must not cost much more than itself.
const SMALL_FRAME: u64 = 4 << 20;

/// The least part of a content that another must have, in thousandths, to be worth a prefix.
const LEAST_SHARED: u64 = 30;

/// Contents that are compared exactly, of those that have chunks in common.
const COMPARED: usize = 8;

/// How many frames, one after the other, may have to be decoded for the prefix of the next.
const MOST_DEPTH: u32 = 3;

/// Memory is so many frames: half of it decodes a chain of prefixes.
const FRAMES_OF_MEMORY: u64 = 32;

/// A prefix is so many frames.
const FRAMES_OF_PREFIX: u64 = 3;

/// The shortest frame, however little memory there is.
const LEAST_FRAME: u64 = 64 << 10;

/// A blob and what was found out about it.
#[derive(Clone, Debug)]
pub(super) struct SurveyedBlob {
    pub(super) blob: Descriptor,
    pub(super) survey: BlobSurvey,
}

/// What is coded as one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedContent {
    /// The blobs, by number.
    pub(super) blobs: Vec<usize>,
    /// Bytes.
    pub(super) length: u64,
    /// The lengths and prefixes of the frames.
    pub(super) frames: Vec<PlannedFrame>,
    /// Whether others are coded against it.
    pub(super) referenced: bool,
}

/// A frame before it is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedFrame {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) prefix: Vec<PrefixPart>,
    depth: u32,
}

/// Bytes of a frame for a memory of `memory` bytes.
fn frame_length(memory: u64) -> u64 {
    (memory / FRAMES_OF_MEMORY).clamp(LEAST_FRAME, super::head::MOST_FRAME / FRAMES_OF_PREFIX)
}

/// Plans the contents of a bundle with a front of `front` bytes. `base` are surveys of layers that the receiver has.
pub(super) fn plan(front: u64, blobs: &[SurveyedBlob], base: &[&BlobSurvey], memory: u64) -> Vec<PlannedContent> {
    let frame = frame_length(memory);
    let (small, large): (Vec<usize>, Vec<usize>) =
        (0..blobs.len()).partition(|&number| blobs[number].survey.length < SMALL);
    let length = small.iter().fold(front, |sum, &number| sum + blobs[number].survey.length);
    let frames = frames(length, frame.min(SMALL_FRAME), 0, |_, _| Vec::new());
    let mut planner =
        Planner { contents: vec![PlannedContent { blobs: small, length, frames, referenced: false }], frame };
    let mut known = Likeness::default();
    for (number, survey) in base.iter().enumerate() {
        known.add((PrefixSource::Base, number), survey);
    }
    for number in large {
        let survey = &blobs[number].survey;
        let reference = known.best(survey, |source| planner.may_be_prefix(source));
        let content = planner.contents.len();
        planner.add(number, survey.length, reference, base);
        if survey.recipe.is_some() || !survey.gzip {
            known.add((PrefixSource::Content, content), survey);
        }
    }
    planner.contents
}

/// The base layers that prefixes are in, in order; prefixes count only these from then on.
pub(super) fn used_base(contents: &mut [PlannedContent]) -> Vec<usize> {
    let parts = contents.iter_mut().flat_map(|content| &mut content.frames).flat_map(|frame| &mut frame.prefix);
    let mut parts: Vec<&mut PrefixPart> = parts.filter(|part| part.source == PrefixSource::Base).collect();
    let used: BTreeSet<usize> = parts.iter().map(|part| part.number).collect();
    let used: Vec<usize> = used.into_iter().collect();
    for part in &mut parts {
        part.number = used.binary_search(&part.number).unwrap_or_default();
    }
    used
}

struct Planner {
    contents: Vec<PlannedContent>,
    frame: u64,
}

impl Planner {
    fn may_be_prefix(&self, (source, number): (PrefixSource, usize)) -> bool {
        source == PrefixSource::Base || self.contents[number].frames.iter().all(|frame| frame.depth < MOST_DEPTH)
    }

    fn add(&mut self, blob: usize, length: u64, reference: Option<(PrefixSource, usize)>, base: &[&BlobSurvey]) {
        let number = self.contents.len();
        let most = self.frame * FRAMES_OF_PREFIX;
        let frames = match reference {
            Some((source, other)) => {
                let (whole, depth) = match source {
                    PrefixSource::Base => (base[other].length, 0),
                    PrefixSource::Content => {
                        let content = &mut self.contents[other];
                        content.referenced = true;
                        let depth = content.frames.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
                        (content.length, depth)
                    }
                };
                frames(length, self.frame, depth, |start, length| {
                    let size = whole.min(most);
                    let middle = start + length / 2;
                    let from = middle.saturating_sub(size / 2).min(whole - size);
                    vec![PrefixPart { from, number: other, size, source }]
                })
            }
            // Every second frame is coded against what is before it, so that few must be decoded for any.
            None => frames(length, self.frame, 0, |start, _| {
                let is_second = (start / self.frame) % 2 == 1;
                let part = PrefixPart {
                    from: start.saturating_sub(self.frame),
                    number,
                    size: self.frame,
                    source: PrefixSource::Content,
                };
                if is_second { vec![part] } else { Vec::new() }
            }),
        };
        self.contents.push(PlannedContent { blobs: vec![blob], length, frames, referenced: false });
    }
}

/// The frames of a content, each with the prefix that `prefix` gives for where it begins and how long it is.
fn frames(length: u64, most: u64, depth: u32, prefix: impl Fn(u64, u64) -> Vec<PrefixPart>) -> Vec<PlannedFrame> {
    let count = length.div_ceil(most);
    let frame = |number| {
        let start = number * most;
        let length = most.min(length - start);
        let prefix = prefix(start, length);
        let depth = depth.max(u32::from(!prefix.is_empty()));
        PlannedFrame { start, length, prefix, depth }
    };
    (0..count).map(frame).collect()
}

/// Which contents have chunks in common.
#[derive(Default)]
struct Likeness<'a> {
    surveys: Vec<((PrefixSource, usize), &'a BlobSurvey)>,
    by_hash: HashMap<u64, Vec<usize>>,
}

impl<'a> Likeness<'a> {
    fn add(&mut self, name: (PrefixSource, usize), survey: &'a BlobSurvey) {
        for hash in survey.sketch.hashes() {
            self.by_hash.entry(*hash).or_default().push(self.surveys.len());
        }
        self.surveys.push((name, survey));
    }

    /// The one that has most of `survey`'s content, if any has enough.
    fn best(&self, survey: &BlobSurvey, may: impl Fn((PrefixSource, usize)) -> bool) -> Option<(PrefixSource, usize)> {
        let mut counts: HashMap<usize, u64> = HashMap::new();
        for number in survey.sketch.hashes().iter().filter_map(|hash| self.by_hash.get(hash)).flatten() {
            *counts.entry(*number).or_default() += 1;
        }
        let mut found: Vec<(usize, u64)> =
            counts.into_iter().filter(|(number, _)| may(self.surveys[*number].0)).collect();
        found.sort_by_key(|&(number, count)| (std::cmp::Reverse(count), number));
        let shared = |number: usize| survey.sketch.shared_with(&self.surveys[number].1.sketch);
        let compared = found.iter().take(COMPARED).map(|&(number, _)| (shared(number), std::cmp::Reverse(number)));
        let (shared, std::cmp::Reverse(best)) = compared.max()?;
        (shared >= LEAST_SHARED).then(|| self.surveys[best].0)
    }
}
