//! One stream made by several cores: segments between checkpoints, each encoded apart, given on in order. What a thread works on
//! is in memory whole, so a long segment is made as its content comes, by one thread.

use std::{
    collections::VecDeque,
    convert::Infallible,
    ops::Range,
    thread::{self, ScopedJoinHandle},
};

use super::{
    deflate::{CheckpointError, Checkpoints, Recipe, SegmentPlan, StreamSegment},
    frames::Stopped,
};

/// Content that is copied at a time, so that little of a frame is there twice.
const PIECE: usize = 1 << 20;

/// The most content of a segment that a thread works on apart: a few times the usual distance of checkpoints. Where an encoder
/// stores what it cannot compress there are none for as long as that goes on, and another program may have kept none.
const MOST_SEGMENT: u64 = 16 << 20;

/// The segments of a stream from the one on that makes a given byte.
pub(super) struct Segments<'a> {
    recipe: &'a Recipe,
    marks: &'a Checkpoints,
    /// The plan of each segment, the first one that is needed in front.
    plans: VecDeque<(usize, SegmentPlan)>,
    /// Bytes of the whole content.
    length: u64,
    /// Content from `start` on.
    buffer: Vec<u8>,
    start: u64,
    /// The segment that is made as its content comes, and up to where that came.
    long: Option<(StreamSegment, u64)>,
    /// Threads at once; with none, every segment is made as its content comes.
    threads: usize,
}

/// Bytes of memory that a thread takes for a segment of these: its content, which is in the buffer too, and what it makes of that.
pub(super) fn memory_of(marks: &Checkpoints, length: u64) -> Result<u64, CheckpointError> {
    let mut most = 0;
    for number in 0..marks.segments() {
        let plan = marks.plan(number)?;
        let content = plan.content.end.min(length).saturating_sub(plan.history.start);
        most = most.max(if content > MOST_SEGMENT { 0 } else { content });
    }
    Ok(3 * most.max(PIECE as u64))
}

/// What a thread makes of a segment.
type Made = Result<Vec<u8>, CheckpointError>;

impl<'a> Segments<'a> {
    /// The segments that make the output from byte `from` on, of a content of `length` bytes, by up to `threads` threads.
    pub(super) fn new(
        (recipe, marks): (&'a Recipe, &'a Checkpoints),
        length: u64,
        from: u64,
        threads: usize,
    ) -> Result<Self, CheckpointError> {
        let plans = (0..marks.segments()).map(|number| Ok((number, marks.plan(number)?)));
        let mut plans: VecDeque<_> = plans.collect::<Result<_, CheckpointError>>()?;
        plans.retain(|(_, plan)| plan.output.end > from);
        let start = plans.front().map_or(0, |(_, plan)| plan.history.start);
        Ok(Self { recipe, marks, plans, length, buffer: Vec::new(), start, long: None, threads })
    }

    /// Where the content begins that is needed.
    pub(super) const fn content_start(&self) -> u64 {
        self.start
    }

    /// Where the output begins that is made.
    pub(super) fn output_start(&self) -> u64 {
        self.plans.front().map_or(0, |(_, plan)| plan.output.start)
    }

    /// Takes all the content that `read` gives, and gives the output to `sink` in order.
    pub(super) fn run(
        mut self,
        read: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Result<(), Stopped>,
        failed: &(dyn Fn(CheckpointError) -> Stopped + Sync),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        thread::scope(|scope| {
            let mut underway: VecDeque<ScopedJoinHandle<'_, Made>> = VecDeque::new();
            read(&mut |content| {
                for piece in content.chunks(PIECE) {
                    self.buffer.extend_from_slice(piece);
                    loop {
                        if self.is_long() {
                            while !underway.is_empty() {
                                pass(underway.pop_front(), failed, sink)?;
                            }
                            if !self.advance(failed, sink)? {
                                break;
                            }
                        } else {
                            let Some(work) = self.next() else { break };
                            underway.push_back(scope.spawn(work));
                            if underway.len() >= self.threads {
                                pass(underway.pop_front(), failed, sink)?;
                            }
                        }
                    }
                }
                Ok(())
            })?;
            while !underway.is_empty() {
                pass(underway.pop_front(), failed, sink)?;
            }
            Ok(())
        })
    }

    /// The content of the next segment.
    fn content(&self) -> Option<Range<u64>> {
        let (_, plan) = self.plans.front()?;
        Some(plan.content.start..plan.content.end.min(self.length))
    }

    /// Whether the next segment is made as its content comes.
    fn is_long(&self) -> bool {
        let is_long = |content: Range<u64>| content.end.saturating_sub(content.start) > MOST_SEGMENT;
        self.content().is_some_and(|content| self.threads == 0 || is_long(content))
    }

    /// Up to where content is there.
    fn end(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    /// Forgets content before `needed`.
    fn forget(&mut self, needed: u64) {
        let gone = usize::try_from(needed.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.drain(..gone);
        self.start += gone as u64;
    }

    /// Where the content begins that the segment after the next one needs.
    fn needed_after(&self) -> u64 {
        self.plans.get(1).map_or(self.length, |(_, plan)| plan.history.start)
    }

    /// Makes what there is content for of the next segment; true when that was all of it.
    fn advance(
        &mut self,
        failed: &(dyn Fn(CheckpointError) -> Stopped + Sync),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>,
    ) -> Result<bool, Stopped> {
        let (Some((number, plan)), Some(content)) = (self.plans.front(), self.content()) else { return Ok(false) };
        if self.end() < content.start {
            return Ok(false);
        }
        let (mut segment, from) = if let Some(underway) = self.long.take() {
            underway
        } else {
            let history = self.cut(&plan.history);
            let segment = StreamSegment::new(self.recipe, self.marks, *number, &history).map_err(failed)?;
            (segment, content.start)
        };
        let to = self.end().min(content.end);
        let complete = segment.write(&self.cut(&(from..to)), &mut |made: &[u8]| sink(made))?;
        let needed = self.needed_after();
        if to < content.end {
            self.long = Some((segment, to));
            self.forget(needed.min(to));
            return Ok(false);
        }
        if !complete {
            segment.finish(&mut |made: &[u8]| sink(made))?;
        }
        self.plans.pop_front();
        self.forget(needed);
        Ok(true)
    }

    /// The work of the next segment, if all of its content is there.
    fn next(&mut self) -> Option<impl FnOnce() -> Made + Send + use<'a>> {
        let content = self.content()?;
        if self.end() < content.end {
            return None;
        }
        let needed = self.needed_after();
        let (number, plan) = self.plans.pop_front()?;
        let (history, content) = (self.cut(&plan.history), self.cut(&content));
        self.forget(needed);
        let (recipe, marks) = (self.recipe, self.marks);
        Some(move || {
            let mut made = Vec::with_capacity(content.len() / 2);
            let mut sink = |bytes: &[u8]| {
                made.extend_from_slice(bytes);
                Ok::<(), Infallible>(())
            };
            let mut segment = StreamSegment::new(recipe, marks, number, &history)?;
            let Ok(complete) = segment.write(&content, &mut sink);
            if !complete {
                let Ok(()) = segment.finish(&mut sink);
            }
            Ok(made)
        })
    }

    fn cut(&self, range: &Range<u64>) -> Vec<u8> {
        let within =
            |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer[within(range.start)..within(range.end)].to_vec()
    }
}

fn pass(
    made: Option<ScopedJoinHandle<'_, Made>>,
    failed: &dyn Fn(CheckpointError) -> Stopped,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let Some(made) = made else { return Ok(()) };
    match made.join() {
        Ok(made) => sink(&made.map_err(failed)?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::deflate::{Encoder, Engine, Family, Framing, MarkScanner, test_data::mixture};

    fn recipe(family: Family, framing: Framing) -> Recipe {
        let engine = Engine::new(family, -1).expect("each family has a default level");
        Recipe { engine, framing, header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] }
    }

    fn whole(recipe: &Recipe, content: &[u8]) -> (Vec<u8>, Checkpoints) {
        let mut made = Vec::new();
        let mut sink = |bytes: &[u8]| {
            made.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let mut encoder = Encoder::with_checkpoints(recipe, 70_000);
        let Ok(()) = encoder.write(content, &mut sink);
        let Ok(marks) = encoder.finish(&mut sink);
        (made, marks)
    }

    #[test]
    fn segments_on_all_cores_give_the_stream_from_any_byte_on() {
        let content = mixture(450_000);
        let blocks = Framing::Blocks { size: 65_536 };
        for recipe in [recipe(Family::Go, Framing::Stream), recipe(Family::Klauspost1_18_2, blocks)] {
            let (stream, marks) = whole(&recipe, &content);
            assert!(marks.segments() > 3, "{} segments of {recipe:?}", marks.segments());
            for (from, threads) in [0, 1, stream.len() / 2, stream.len() - 9].into_iter().zip([3, 0, 1, 2]) {
                let segments = Segments::new((&recipe, &marks), content.len() as u64, from as u64, threads).unwrap();
                let start = usize::try_from(segments.output_start()).unwrap();
                assert!(start <= from && (from == 0 || start > 0 || from == 1), "{start} for {from}");
                let rest = &content[usize::try_from(segments.content_start()).unwrap()..];
                let mut made = Vec::new();
                let read = |give: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>| rest.chunks(99_999).try_for_each(give);
                let failed = |error| panic!("{error}");
                let mut sink = |bytes: &[u8]| {
                    made.extend_from_slice(bytes);
                    Ok(())
                };
                segments.run(read, &failed, &mut sink).unwrap();
                assert!(made == stream[start..], "{recipe:?} from {from}");
            }
        }
    }

    #[test]
    fn a_long_segment_is_made_as_its_content_comes() {
        // Who only reads a stream finds no checkpoint where the encoder stored what it could not compress.
        let mut state = 5_u64;
        let noise: Vec<u8> = (0..MOST_SEGMENT + 3_000_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        let content = [&mixture(2_000_000)[..], &noise, &mixture(2_000_000)].concat();
        let recipe = recipe(Family::Go, Framing::Stream);
        let (stream, _) = whole(&recipe, &content);
        let mut scanner = MarkScanner::new(&recipe, 70_000);
        scanner.update(&stream);
        let marks = scanner.finish(content.len() as u64).unwrap();
        let plans: Vec<SegmentPlan> = (0..marks.segments()).map(|number| marks.plan(number).unwrap()).collect();
        let lengths: Vec<u64> = plans.iter().map(|plan| plan.content.end - plan.content.start).collect();
        let is_long = |length: &&u64| **length > MOST_SEGMENT;
        // The last has no end of its own.
        assert_eq!(lengths[..lengths.len() - 1].iter().filter(is_long).count(), 1, "{lengths:?}");
        assert!(lengths.len() > 3, "{lengths:?}");
        let length = content.len() as u64;
        let mut segments = Segments::new((&recipe, &marks), length, 0, 2).unwrap();
        let (mut made, mut most) = (Vec::new(), 0);
        let failed = |error| panic!("{error}");
        for piece in content.chunks(PIECE) {
            segments.buffer.extend_from_slice(piece);
            while segments.is_long() {
                let mut sink = |bytes: &[u8]| {
                    made.extend_from_slice(bytes);
                    Ok(())
                };
                if !segments.advance(&failed, &mut sink).unwrap() {
                    break;
                }
            }
            while !segments.is_long()
                && let Some(work) = segments.next()
            {
                made.extend(work().unwrap());
            }
            most = most.max(segments.buffer.len());
        }
        assert!(made == stream);
        assert!(most <= 3 * PIECE, "{most} bytes of content were kept");
    }
}
