//! Makes a gzip member again from its recipe and what it inflates to.

use super::bits::BitWriter;
use super::checkpoint::{Checkpoint, Checkpoints, PIGZ_TAIL, tail};
use super::compressor::Compressor;
use super::recipe::{Engine, Framing, Recipe};

/// Input is taken in pieces of this size at most, so that little output waits.
const PIECE: usize = 1 << 16;

/// Encodes one gzip member. The output is that of the encoder that the recipe names; how the input is cut makes no
/// difference to it. Memory is bounded: at most 2 MiB, and 40 bytes for each checkpoint.
#[derive(Debug)]
pub struct Encoder {
    bits: BitWriter,
    input: Input,
    trailer: Trailer,
    /// The least distance of checkpoints, where they are wanted.
    every: Option<u64>,
    marks: Vec<Checkpoint>,
}

/// CRC-32 and size of the content.
#[derive(Debug)]
enum Trailer {
    /// To be computed; it counts modulo 2³², as the format has it.
    Computed(flate2::Crc),
    /// Known from elsewhere.
    Known([u8; 8]),
}

/// How input reaches the compressor.
#[derive(Debug)]
enum Input {
    Stream(Box<Compressor>),
    Blocks(BlockStream),
}

impl Encoder {
    /// An encoder that has taken nothing yet.
    pub fn new(recipe: &Recipe) -> Self {
        let input = match recipe.framing {
            Framing::Stream => Input::Stream(Box::new(Compressor::new(recipe.engine, &[]))),
            framing => Input::Blocks(BlockStream::new(recipe.engine, framing, 0, &[])),
        };
        let mut bits = BitWriter::default();
        bits.bytes(&recipe.header);
        Self::with(bits, input)
    }

    /// An encoder that keeps checkpoints at least `every` bytes of content apart, where the engine has them: between blocks that
    /// are compressed apart, and in streams by Go's levels 4 to 9.
    pub fn with_checkpoints(recipe: &Recipe, every: u64) -> Self {
        Self { every: Some(every), ..Self::new(recipe) }
    }

    /// The encoder as it was at a checkpoint, if that is one of the recipe's. `history` is the content before it, as much as
    /// it needs.
    pub(super) fn resume(recipe: &Recipe, mark: &Checkpoint, history: &[u8]) -> Option<Self> {
        match (mark, recipe.framing) {
            (Checkpoint::Chain(mark), Framing::Stream) => {
                let compressor = Compressor::resume(recipe.engine, mark, history)?;
                Some(Self::with(BitWriter::resume(mark.position), Input::Stream(Box::new(compressor))))
            }
            (Checkpoint::Block { offset, reach, .. }, framing) => {
                let fits = offset.is_multiple_of(framing.size().into()) && tail(framing) == Some(*reach);
                let blocks = fits.then(|| BlockStream::new(recipe.engine, framing, *offset, history));
                blocks.map(|blocks| Self::with(BitWriter::default(), Input::Blocks(blocks)))
            }
            _ => None,
        }
    }

    fn with(bits: BitWriter, input: Input) -> Self {
        let trailer = Trailer::Computed(flate2::Crc::new());
        Self { bits, input, trailer, every: None, marks: Vec::new() }
    }

    /// The encoder writes this trailer, whatever it takes.
    pub(super) fn with_trailer(mut self, trailer: [u8; 8]) -> Self {
        self.trailer = Trailer::Known(trailer);
        self
    }

    /// Takes input, and gives `sink` what of the output is complete. An error of the sink ends the encoding: the encoder is
    /// not to be used after it.
    pub fn write<E>(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for piece in input.chunks(PIECE) {
            if let Trailer::Computed(checksum) = &mut self.trailer {
                checksum.update(piece);
            }
            self.input.write(piece, &mut self.bits);
            self.keep_mark();
            self.drain(sink)?;
        }
        Ok(())
    }

    /// Ends the member, and gives `sink` the rest of the output. The checkpoints are empty if none were wanted or the engine
    /// has none.
    pub fn finish<E>(mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<Checkpoints, E> {
        self.input.finish(&mut self.bits);
        let trailer = match std::mem::replace(&mut self.trailer, Trailer::Known([0; 8])) {
            Trailer::Known(trailer) => trailer,
            Trailer::Computed(checksum) => {
                let mut trailer = [0; 8];
                trailer[..4].copy_from_slice(&checksum.sum().to_le_bytes());
                trailer[4..].copy_from_slice(&checksum.amount().to_le_bytes());
                trailer
            }
        };
        self.bits.bytes(&trailer);
        self.drain(sink)?;
        Ok(Checkpoints { trailer, marks: self.marks })
    }

    /// Keeps the last checkpoint that the input passed if it is far enough from the one before.
    fn keep_mark(&mut self) {
        let Some((every, mark)) = self.every.zip(self.input.take_mark()) else { return };
        let last = self.marks.last().map_or(0, Checkpoint::offset);
        if mark.offset() >= last.saturating_add(every.max(PIECE as u64)) {
            self.marks.push(mark);
        }
    }

    fn drain<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.bits.settle();
        if !self.bits.complete().is_empty() {
            sink(self.bits.complete())?;
            self.bits.clear();
        }
        Ok(())
    }
}

impl Input {
    fn write(&mut self, input: &[u8], bits: &mut BitWriter) {
        match self {
            Self::Stream(compressor) => compressor.write(input, bits),
            Self::Blocks(blocks) => blocks.write(input, bits),
        }
    }

    fn take_mark(&mut self) -> Option<Checkpoint> {
        match self {
            Self::Stream(compressor) => compressor.take_mark().map(Checkpoint::Chain),
            Self::Blocks(blocks) => blocks.mark.take(),
        }
    }

    fn finish(&mut self, bits: &mut BitWriter) {
        match self {
            Self::Stream(compressor) => compressor.finish(bits),
            Self::Blocks(blocks) => blocks.finish(bits),
        }
    }
}

/// Blocks of a size, each ended at a byte.
#[derive(Debug)]
struct BlockStream {
    engine: Engine,
    framing: Framing,
    compressor: Box<Compressor>,
    /// The bytes of the block so far.
    filled: usize,
    /// The bytes of all blocks so far.
    offset: u64,
    /// The last bytes of the block.
    recent: Vec<u8>,
    /// The end of the last block that ended.
    mark: Option<Checkpoint>,
}

impl BlockStream {
    /// Blocks from an offset on at which one begins, with the end of the one before.
    fn new(engine: Engine, framing: Framing, offset: u64, tail: &[u8]) -> Self {
        let compressor = Box::new(Compressor::new(engine, tail));
        Self { engine, framing, compressor, filled: 0, offset, recent: Vec::new(), mark: None }
    }

    fn write(&mut self, mut input: &[u8], bits: &mut BitWriter) {
        let size = self.framing.size() as usize;
        let longest = tail(self.framing).unwrap_or(PIGZ_TAIL) as usize;
        while !input.is_empty() {
            // pigz ends a block only when there is more.
            if self.filled == size {
                self.end_block(bits);
            }
            let (now, later) = input.split_at(input.len().min(size - self.filled).min(longest));
            self.compressor.write(now, bits);
            self.filled += now.len();
            self.offset += now.len() as u64;
            self.recent.drain(..(self.recent.len() + now.len()).saturating_sub(2 * longest));
            self.recent.extend_from_slice(now);
            if self.filled == size && matches!(self.framing, Framing::Blocks { .. }) {
                self.end_block(bits);
            }
            input = later;
        }
    }

    fn end_block(&mut self, bits: &mut BitWriter) {
        match self.framing {
            Framing::Blocks { .. } => self.compressor.sync(bits),
            _ => self.compressor.join(bits),
        }
        self.filled = 0;
        if let Some(reach) = tail(self.framing) {
            let recent = &self.recent[self.recent.len() - reach as usize..];
            *self.compressor = Compressor::new(self.engine, recent);
            self.mark = Some(Checkpoint::Block { offset: self.offset, output: bits.position().bytes, reach });
        }
    }

    fn finish(&mut self, bits: &mut BitWriter) {
        // pgzip writes the last block even where it is empty.
        if matches!(self.framing, Framing::Blocks { .. }) {
            self.compressor.sync(bits);
        }
        self.compressor.finish(bits);
    }
}
