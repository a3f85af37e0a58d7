//! One stream made by several cores: segments between checkpoints, each encoded apart, given on in order.

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
}

/// What a thread makes of a segment.
type Made = Result<Vec<u8>, CheckpointError>;

impl<'a> Segments<'a> {
    /// The segments that make the output from byte `from` on, of a content of `length` bytes.
    pub(super) fn new(
        recipe: &'a Recipe,
        marks: &'a Checkpoints,
        length: u64,
        from: u64,
    ) -> Result<Self, CheckpointError> {
        let plans = (0..marks.segments()).map(|number| Ok((number, marks.plan(number)?)));
        let mut plans: VecDeque<_> = plans.collect::<Result<_, CheckpointError>>()?;
        plans.retain(|(_, plan)| plan.output.end > from);
        let start = plans.front().map_or(0, |(_, plan)| plan.history.start);
        Ok(Self { recipe, marks, plans, length, buffer: Vec::new(), start })
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
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let mut underway: VecDeque<ScopedJoinHandle<'_, Made>> = VecDeque::new();
            read(&mut |content| {
                for piece in content.chunks(PIECE) {
                    self.buffer.extend_from_slice(piece);
                    while let Some(work) = self.next() {
                        underway.push_back(scope.spawn(work));
                        if underway.len() >= cores {
                            pass(underway.pop_front(), failed, sink)?;
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

    /// The work of the next segment, if all of its content is there.
    fn next(&mut self) -> Option<impl FnOnce() -> Made + Send + use<'a>> {
        let (_, plan) = self.plans.front()?;
        let content = plan.content.start..plan.content.end.min(self.length);
        if self.start + (self.buffer.len() as u64) < content.end {
            return None;
        }
        let (history, content) = (self.cut(&plan.history), self.cut(&content));
        let (number, _) = self.plans.pop_front()?;
        let needed = self.plans.front().map_or(self.length, |(_, plan)| plan.history.start);
        let gone = usize::try_from(needed.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.drain(..gone);
        self.start += gone as u64;
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
    use crate::pack::deflate::{Encoder, Engine, Family, Framing, test_data::mixture};

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
            for from in [0, 1, stream.len() / 2, stream.len() - 9] {
                let segments = Segments::new(&recipe, &marks, content.len() as u64, from as u64).unwrap();
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
}
