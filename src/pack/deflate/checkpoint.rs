//! Places at which a stream can be taken up again, so that several cores can make it.
//!
//! Their bytes are in `docs/pack-format.md`.

use std::ops::Range;

use super::bits::BitPosition;
use super::golang::ChainMark;
use super::recipe::Framing;
use super::symbols::WINDOW;

/// What a block of pgzip may reach of the one before.
pub(super) const PGZIP_TAIL: u32 = 1 << 14;
/// What a block of pigz may reach of the one before.
pub(super) const PIGZ_TAIL: u32 = 1 << 15;

/// What a block that is compressed apart may reach of the one before; `None` where the encoder goes on.
pub(super) fn tail(framing: Framing) -> Option<u32> {
    match framing {
        Framing::Blocks { .. } => Some(PGZIP_TAIL),
        Framing::Pigz { .. } => Some(PIGZ_TAIL),
        Framing::Stream | Framing::PigzSingle { .. } => None,
    }
}

const VERSION: u8 = 1;

/// Why bytes are not checkpoints, or a stream cannot be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A later format.
    #[error("checkpoints of version {found}; this program knows version {VERSION}")]
    Version {
        /// The version that the bytes name.
        found: u8,
    },
    /// A kind of checkpoint that this program does not know.
    #[error("unknown kind of checkpoint {kind}")]
    Kind {
        /// The kind.
        kind: u8,
    },
    /// The bytes end too early, or go on after the end.
    #[error("checkpoints of {found} bytes; expected {expected}")]
    Length {
        /// The length that its members add up to, as far as they are there.
        expected: usize,
        /// The length of the bytes.
        found: usize,
    },
    /// A checkpoint is not after the one before, or its members do not fit together.
    #[error("checkpoint {number} cannot be right")]
    Unsound {
        /// Its number, from 0.
        number: usize,
    },
    /// The engine or the framing of the recipe does not have such checkpoints.
    #[error("checkpoint {number} is not of this encoder")]
    Foreign {
        /// Its number, from 0.
        number: usize,
    },
    /// There are fewer segments.
    #[error("no segment {number}: there are {count}")]
    Segment {
        /// The number that was asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// The bytes before the checkpoint are not as many as it needs.
    #[error("{found} bytes before the checkpoint; expected {expected}")]
    History {
        /// How many it needs.
        expected: u64,
        /// How many were given.
        found: usize,
    },
}

/// The state of an encoder at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// At the end of a block of Go's lazy levels.
    Chain(ChainMark),
    /// Between two blocks that are compressed apart: offsets in content and output, and how many bytes before it are needed.
    Block { offset: u64, output: u64, reach: u32 },
}

impl Checkpoint {
    /// That of a block that begins here, if one of those does that are compressed apart.
    pub(super) fn between_blocks(framing: Framing, offset: u64, position: BitPosition) -> Option<Self> {
        let reach = tail(framing)?;
        let is_one = position.count == 0 && offset > 0 && offset.is_multiple_of(framing.size().into());
        is_one.then_some(Self::Block { offset, output: position.bytes, reach })
    }

    pub(super) fn offset(&self) -> u64 {
        match self {
            Self::Chain(mark) => mark.offset,
            Self::Block { offset, .. } => *offset,
        }
    }

    fn output(&self) -> u64 {
        match self {
            Self::Chain(mark) => mark.position.bytes,
            Self::Block { output, .. } => *output,
        }
    }

    /// How many bytes before it are needed.
    fn reach(&self) -> u64 {
        match self {
            Self::Chain(mark) => mark.reach.into(),
            Self::Block { reach, .. } => u64::from(*reach),
        }
    }

    /// Up to where the content must be given so that the output is complete up to here.
    fn needed(&self) -> u64 {
        match self {
            // The window must be full, and one byte more come.
            Self::Chain(mark) => mark.offset - u64::from(mark.reach) + 2 * WINDOW as u64 + 1,
            // pigz ends a block only when there is more.
            Self::Block { offset, reach, .. } => offset + u64::from(*reach == PIGZ_TAIL),
        }
    }

    fn is_sound(&self) -> bool {
        let possible = self.offset().max(self.output()) < 1 << 62;
        possible
            && match self {
                Self::Chain(mark) => mark.is_sound(),
                Self::Block { offset, reach, .. } => *offset >= u64::from(*reach),
            }
    }
}

/// The checkpoints of a stream, in order, and its trailer, which only the whole stream could tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoints {
    pub(super) trailer: [u8; 8],
    pub(super) marks: Vec<Checkpoint>,
}

/// What a segment of a stream is made of, and what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The content before the segment that it needs.
    pub history: Range<u64>,
    /// The content to give. Where the whole content ends earlier, so does the segment.
    pub content: Range<u64>,
    /// The part of the output, in bytes from the beginning of the gzip header; the last one is up to `u64::MAX`.
    pub output: Range<u64>,
}

impl Checkpoints {
    /// How many segments there are: one more than checkpoints.
    pub fn segments(&self) -> usize {
        self.marks.len() + 1
    }

    /// The plan of a segment, counted from 0.
    pub fn plan(&self, number: usize) -> Result<SegmentPlan, CheckpointError> {
        if number > self.marks.len() {
            return Err(CheckpointError::Segment { number, count: self.segments() });
        }
        let from = number.checked_sub(1).map(|before| self.marks[before]);
        let to = self.marks.get(number);
        let start = from.map_or(0, |from| from.offset());
        Ok(SegmentPlan {
            history: start - from.map_or(0, |from| from.reach())..start,
            content: start..to.map_or(u64::MAX, Checkpoint::needed),
            output: from.map_or(0, |from| from.output())..to.map_or(u64::MAX, Checkpoint::output),
        })
    }

    /// The bytes of the checkpoints.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.trailer);
        bytes.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        for mark in &self.marks {
            bytes.push(match mark {
                Checkpoint::Chain(_) => 0,
                Checkpoint::Block { reach: PIGZ_TAIL, .. } => 2,
                Checkpoint::Block { .. } => 1,
            });
            bytes.extend_from_slice(&mark.offset().to_le_bytes());
            bytes.extend_from_slice(&mark.output().to_le_bytes());
            if let Checkpoint::Chain(mark) = mark {
                bytes.extend_from_slice(&[mark.position.partial, mark.position.count]);
                bytes.extend_from_slice(&mark.reach.to_le_bytes());
                bytes.extend_from_slice(&mark.found.0.to_le_bytes());
                bytes.extend_from_slice(&mark.found.1.to_le_bytes());
                bytes.push(mark.pending.into());
            }
        }
        bytes
    }

    /// Reads checkpoints that are all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut reader = MarkBytes { bytes, at: 0 };
        let [version] = reader.take()?;
        if version != VERSION {
            return Err(CheckpointError::Version { found: version });
        }
        let trailer = reader.take()?;
        let count = u32::from_le_bytes(reader.take()?);
        let mut marks: Vec<Checkpoint> = Vec::new();
        for number in 0..count as usize {
            let mark = reader.mark(number)?;
            let after = marks.last().is_none_or(|last| last.offset() < mark.offset() && last.output() <= mark.output());
            if !after || !mark.is_sound() {
                return Err(CheckpointError::Unsound { number });
            }
            marks.push(mark);
        }
        if reader.at != bytes.len() {
            return Err(CheckpointError::Length { expected: reader.at, found: bytes.len() });
        }
        Ok(Self { trailer, marks })
    }
}

struct MarkBytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl MarkBytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let error = CheckpointError::Length { expected: self.at + N, found: self.bytes.len() };
        let taken = *self.bytes[self.at..].first_chunk().ok_or(error)?;
        self.at += N;
        Ok(taken)
    }

    fn mark(&mut self, number: usize) -> Result<Checkpoint, CheckpointError> {
        let [kind] = self.take()?;
        let offset = u64::from_le_bytes(self.take()?);
        let output = u64::from_le_bytes(self.take()?);
        match kind {
            0 => {
                let [partial, count] = self.take()?;
                let reach = u32::from_le_bytes(self.take()?);
                let found = (u16::from_le_bytes(self.take()?), u16::from_le_bytes(self.take()?));
                let [pending] = self.take()?;
                if count > 7 || partial >> count != 0 || pending > 1 {
                    return Err(CheckpointError::Unsound { number });
                }
                let position = BitPosition { bytes: output, partial, count };
                Ok(Checkpoint::Chain(ChainMark { offset, reach, found, pending: pending == 1, position }))
            }
            1 => Ok(Checkpoint::Block { offset, output, reach: PGZIP_TAIL }),
            2 => Ok(Checkpoint::Block { offset, output, reach: PIGZ_TAIL }),
            kind => Err(CheckpointError::Kind { kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoints() -> Checkpoints {
        let position = BitPosition { bytes: 5000, partial: 3, count: 2 };
        let chain = ChainMark { offset: 70_000, reach: 37_232, found: (9, 32_768), pending: true, position };
        let block = Checkpoint::Block { offset: 80_000, output: 5000, reach: PGZIP_TAIL };
        let pigz = Checkpoint::Block { offset: 90_000, output: 6000, reach: PIGZ_TAIL };
        Checkpoints { trailer: *b"trailing", marks: vec![Checkpoint::Chain(chain), block, pigz] }
    }

    #[test]
    fn checkpoints_come_back_from_their_bytes() {
        let bytes = checkpoints().encode();
        assert_eq!(Checkpoints::decode(&bytes), Ok(checkpoints()));
        assert_eq!(Checkpoints::decode(&Checkpoints::default().encode()), Ok(Checkpoints::default()));
        for length in 0..bytes.len() {
            let error = Checkpoints::decode(&bytes[..length]).expect_err("it is cut");
            assert!(matches!(error, CheckpointError::Length { found, .. } if found == length), "{length}: {error}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Checkpoints::decode(&longer),
            Err(CheckpointError::Length { expected: bytes.len(), found: bytes.len() + 1 })
        );
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let good = checkpoints().encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Checkpoints::decode(&bytes).expect_err("it cannot be right")
        };
        assert_eq!(with(0, 2), CheckpointError::Version { found: 2 });
        assert_eq!(with(13, 3), CheckpointError::Kind { kind: 3 });
        // The count of bits, the bits themselves, the reach, the length, the distance, the byte in hand.
        for (at, byte) in [(31, 8), (30, 4), (34, 2), (36, 2), (39, 129), (40, 2)] {
            assert_eq!(with(at, byte), CheckpointError::Unsound { number: 0 }, "{byte} at {at}");
        }
        // Too far for any content; the second before the first.
        assert_eq!(with(21, 0x40), CheckpointError::Unsound { number: 0 });
        assert_eq!(with(44, 0), CheckpointError::Unsound { number: 1 });
    }

    #[test]
    fn segments_follow_one_another() {
        let checkpoints = checkpoints();
        assert_eq!(checkpoints.segments(), 4);
        let plans = [0, 1, 2, 3].map(|number| checkpoints.plan(number).expect("there is one"));
        assert_eq!(plans[0].output, 0..5000);
        assert_eq!((&plans[1].history, plans[1].content.start), (&(32_768..70_000), 70_000));
        assert_eq!(plans[0].content, 0..32_768 + 65_536 + 1);
        assert_eq!((&plans[2].history, &plans[2].output), (&(80_000 - 16_384..80_000), &(5000..6000)));
        assert_eq!(plans[2].content, 80_000..90_001);
        assert_eq!((&plans[3].history, &plans[3].output), (&(90_000 - 32_768..90_000), &(6000..u64::MAX)));
        assert_eq!(checkpoints.plan(4), Err(CheckpointError::Segment { number: 4, count: 4 }));
    }
}
