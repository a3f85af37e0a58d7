//! A segment of a stream, encoded from a checkpoint on.

use super::checkpoint::{CheckpointError, Checkpoints};
use super::encoder::Encoder;
use super::recipe::Recipe;

/// Makes one segment of a stream. The segments of a stream, one after another, are the stream.
#[derive(Debug)]
pub struct StreamSegment {
    encoder: Encoder,
    /// Bytes of output that are still to come.
    left: u64,
}

impl StreamSegment {
    /// The encoder of a segment, counted from 0. `history` is the content that the segment's plan names.
    pub fn new(
        recipe: &Recipe,
        checkpoints: &Checkpoints,
        number: usize,
        history: &[u8],
    ) -> Result<Self, CheckpointError> {
        let plan = checkpoints.plan(number)?;
        let expected = plan.history.end - plan.history.start;
        if history.len() as u64 != expected {
            return Err(CheckpointError::History { expected, found: history.len() });
        }
        let encoder = match number.checked_sub(1) {
            None => Encoder::new(recipe),
            Some(number) => Encoder::resume(recipe, &checkpoints.marks[number], history)
                .ok_or(CheckpointError::Foreign { number })?,
        };
        let encoder = encoder.with_trailer(checkpoints.trailer);
        Ok(Self { encoder, left: plan.output.end.saturating_sub(plan.output.start) })
    }

    /// Takes content, and gives `sink` what of the output is complete; true when the segment is.
    pub fn write<E>(&mut self, content: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<bool, E> {
        if self.left > 0 {
            let left = &mut self.left;
            self.encoder.write(content, &mut |bytes: &[u8]| pass(left, bytes, sink))?;
        }
        Ok(self.left == 0)
    }

    /// The content has ended: gives `sink` the rest of the output.
    pub fn finish<E>(self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Self { encoder, mut left } = self;
        encoder.finish(&mut |bytes: &[u8]| pass(&mut left, bytes, sink)).map(drop)
    }
}

/// Gives on what is still of the segment.
fn pass<E>(left: &mut u64, bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let own = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= own as u64;
    if own > 0 { sink(&bytes[..own]) } else { Ok(()) }
}
