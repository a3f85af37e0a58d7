//! What is coded in which order, and against what: a pure function of the surveys.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use super::{
    head::{PrefixPart, PrefixSource},
    sketch::Sketch,
    survey::BlobSurvey,
};
use crate::oci::Descriptor;

/// Content below this is coded together with others.
const SMALL: u64 = 64 << 10;

/// Bytes of a frame of contents that are coded together: one of them must not cost much more than itself.
const SMALL_FRAME: u64 = 4 << 20;

/// The least part of a content that another must have, in thousandths, to be worth a prefix.
const LEAST_SHARED: u64 = 30;

/// A content that has this part of another's, in thousandths, is coded against that as it is, and not expanded: what its streams
/// inflate to takes half the space that they take.
const MOSTLY_SHARED: u64 = 500;

/// Contents that are compared exactly, of those that have chunks in common.
const COMPARED: usize = 8;

/// How many frames, one after the other, may have to be decoded for the prefix of the next.
const MOST_DEPTH: u32 = 3;

/// Memory is so many frames: half of it decodes a chain of prefixes.
const FRAMES_OF_MEMORY: u64 = 32;

/// A prefix is so many frames at the most.
const FRAMES_OF_PREFIX: u64 = 3;

/// The least number of places that a frame has in common with another content for these to say which part of that it resembles.
const LEAST_ANCHORS: usize = 12;

/// The prefix of a frame with anchors has this part of a frame more at either end.
const MARGIN_OF_FRAME: u64 = 6;

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
    /// Whether the one blob's content is expanded.
    pub(super) expanded: bool,
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
    let small = PlannedContent { blobs: small, expanded: false, length, frames, referenced: false };
    let mut planner = Planner { contents: vec![small], frame };
    let mut known = Likeness::default();
    for (number, survey) in base.iter().enumerate() {
        known.add(Known { source: PrefixSource::Base, number, sketch: &survey.sketch, length: survey.length });
    }
    for number in large {
        let survey = &blobs[number].survey;
        let may = |known: &Known<'_>| planner.may_be_prefix(known);
        let plain = known.best(&survey.sketch, may);
        let (form, reference) = match &survey.expanded {
            Some(expanded) if plain.is_none_or(|(_, shared)| shared < MOSTLY_SHARED) => {
                (&expanded.sketch, known.best(&expanded.sketch, may))
            }
            _ => (&survey.sketch, plain),
        };
        let expanded = !std::ptr::eq(form, &raw const survey.sketch);
        let added = Known {
            source: PrefixSource::Content,
            number: planner.contents.len(),
            sketch: form,
            length: survey.length(expanded),
        };
        planner.add(number, expanded, added, reference.map(|(known, _)| known));
        if survey.recipe.is_some() || !survey.gzip {
            known.add(added);
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
    fn may_be_prefix(&self, known: &Known<'_>) -> bool {
        let frames = || self.contents[known.number].frames.iter();
        known.source == PrefixSource::Base || frames().all(|frame| frame.depth < MOST_DEPTH)
    }

    fn add(&mut self, blob: usize, expanded: bool, own: Known<'_>, reference: Option<Known<'_>>) {
        let Known { number, length, .. } = own;
        let frames = match reference {
            Some(Known { source, number: other, sketch, length: whole }) => {
                let depth = match source {
                    PrefixSource::Base => 0,
                    PrefixSource::Content => {
                        let content = &mut self.contents[other];
                        content.referenced = true;
                        content.frames.iter().map(|frame| frame.depth + 1).max().unwrap_or(0)
                    }
                };
                let alike = Alike { anchors: own.sketch.anchors(sketch), whole, frame: self.frame };
                frames(length, self.frame, depth, |start, length| {
                    let part = alike.part(start..start + length);
                    vec![PrefixPart { from: part.start, number: other, size: part.end - part.start, source }]
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
        self.contents.push(PlannedContent { blobs: vec![blob], expanded, length, frames, referenced: false });
    }
}

/// A content that another resembles.
struct Alike {
    /// Places of the other, and of this, that have the same bytes before them.
    anchors: Vec<(u64, u64)>,
    /// Bytes of this.
    whole: u64,
    /// Bytes of a frame.
    frame: u64,
}

impl Alike {
    /// The part of this that the bytes `frame` of the other resemble most: from the first to the last place in common, but for a
    /// few that are elsewhere, and a margin; with too few of them what is around the same place.
    fn part(&self, frame: Range<u64>) -> Range<u64> {
        let most = (self.frame * FRAMES_OF_PREFIX).min(self.whole);
        let from = self.anchors.partition_point(|&(own, _)| own <= frame.start);
        let to = self.anchors.partition_point(|&(own, _)| own <= frame.end);
        let mut found: Vec<u64> = self.anchors[from..to].iter().map(|&(_, place)| place).collect();
        found.sort_unstable();
        let (middle, size) = if found.len() < LEAST_ANCHORS {
            (frame.start.midpoint(frame.end), most)
        } else {
            let stray = found.len() / 24;
            let (first, last) = (found[stray], found[found.len() - 1 - stray]);
            let size = last - first + 2 * (self.frame / MARGIN_OF_FRAME);
            if size <= most { (first.midpoint(last), size) } else { (found[found.len() / 2], most) }
        };
        let start = middle.saturating_sub(size / 2).min(self.whole - size.min(self.whole));
        start..(start + size).min(self.whole)
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

/// A content that others may be coded against.
#[derive(Clone, Copy)]
struct Known<'a> {
    source: PrefixSource,
    /// Its number among those of the source.
    number: usize,
    /// What it looks like as it is coded.
    sketch: &'a Sketch,
    /// Its bytes as it is coded.
    length: u64,
}

/// Which contents have places in common.
#[derive(Default)]
struct Likeness<'a> {
    known: Vec<Known<'a>>,
    by_hash: HashMap<u64, Vec<usize>>,
}

impl<'a> Likeness<'a> {
    fn add(&mut self, known: Known<'a>) {
        for hash in known.sketch.hashes() {
            self.by_hash.entry(hash).or_default().push(self.known.len());
        }
        self.known.push(known);
    }

    /// The one that has most of what is like `sketch`, and how much in thousandths, if any has enough.
    fn best(&self, sketch: &Sketch, may: impl Fn(&Known<'_>) -> bool) -> Option<(Known<'a>, u64)> {
        let mut counts: HashMap<usize, u64> = HashMap::new();
        for number in sketch.hashes().filter_map(|hash| self.by_hash.get(&hash)).flatten() {
            *counts.entry(*number).or_default() += 1;
        }
        let mut found: Vec<(usize, u64)> = counts.into_iter().filter(|(number, _)| may(&self.known[*number])).collect();
        found.sort_by_key(|&(number, count)| (std::cmp::Reverse(count), number));
        let shared = |number: usize| sketch.shared_with(self.known[number].sketch);
        let compared = found.iter().take(COMPARED).map(|&(number, _)| (shared(number), std::cmp::Reverse(number)));
        let (shared, std::cmp::Reverse(best)) = compared.max()?;
        (shared >= LEAST_SHARED).then(|| (self.known[best], shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_where_a_frame_has_places_in_common() {
        let near = |moved: u64| (0..1000).map(move |number: u64| (number * 10, number * 10 + moved));
        let part = |anchors: Vec<(u64, u64)>, frame| Alike { anchors, whole: 20_000, frame: 600 }.part(frame);
        // What is in common but for two places at either end, and a margin of a sixth of a frame.
        assert_eq!(part(near(5000).collect(), 3000..3600), 7930..8680);
        // Few that are elsewhere change nothing.
        let stray = near(5000).map(|(own, place)| if own % 300 == 0 { (own, 19_999) } else { (own, place) });
        let found = part(stray.collect(), 3000..3600);
        assert!(found.start >= 7900 && found.end <= 8800, "{found:?}");
        // Places all over it: as much as may be, around the middle one.
        assert_eq!(part(near(0).map(|(own, _)| (own, own * 17 % 20_000)).collect(), 3000..3600).count(), 1800);
        // Hardly any: around the same place, as much as may be; and never beyond the end.
        assert_eq!(part(near(5000).take(3).collect(), 3000..3600), 2400..4200);
        assert_eq!(part(Vec::new(), 19_800..20_400), 18_200..20_000);
        assert_eq!(part(near(19_000).collect(), 0..600).end, 19_680);
        assert_eq!(Alike { anchors: Vec::new(), whole: 100, frame: 600 }.part(0..600), 0..100);
    }
}
