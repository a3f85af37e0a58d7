//! Looks at a stream without making it again: whether its blocks are those of a framing, and where its checkpoints are.

use super::bits::BitPosition;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::decode::{BitReader, BlockForm, BlockItem, TokenDecoder};
use super::golang::ChainMark;
use super::recipe::{Family, Framing, Recipe};
use super::symbols::MAX_MATCH;

/// What is kept back until more bytes are there: more than the head of a block takes.
const RESERVE: usize = 1 << 10;
/// What is kept back of a block's tokens: more than a token takes.
const TOKEN: usize = 16;
/// So near its end a stream is not taken up: encoders do other things there.
const NEAR_END: u64 = 2 * MAX_MATCH as u64;

/// Goes through a gzip member that a recipe is thought to make, sees whether it is flushed where the recipe's framing is, and finds
/// the checkpoints that the encoder would. They are right if the recipe is: that is known only when segments were made of them.
#[derive(Debug)]
pub struct MarkScanner {
    recipe: Recipe,
    /// The least distance of checkpoints.
    every: u64,
    marks: Vec<Checkpoint>,
    /// Bytes that are not read yet, and how many came before them.
    rest: Vec<u8>,
    gone: u64,
    /// Bits of the first byte that were read.
    bit: usize,
    place: ScanPlace,
    /// Whether the block that is read is the last.
    is_last: bool,
    /// Bytes of content up to here.
    offset: u64,
    /// Whether the last token was a match.
    after_match: bool,
    /// Where the stream was flushed though no block of the framing ends there: it must be at its end.
    flushed: Option<u64>,
}

/// Where a scanner is.
#[derive(Debug)]
enum ScanPlace {
    /// In the header of the member; how much of it is still to come.
    Header(usize),
    BlockHead,
    Stored(usize),
    Coded(Box<TokenDecoder>),
    /// Behind the last block.
    End,
    /// It is no deflate stream.
    Lost,
}

impl MarkScanner {
    /// A scanner of a member that looks for checkpoints at least `every` bytes of content apart.
    pub fn new(recipe: &Recipe, every: u64) -> Self {
        Self {
            recipe: recipe.clone(),
            every,
            marks: Vec::new(),
            rest: Vec::new(),
            gone: 0,
            bit: 0,
            place: ScanPlace::Header(recipe.header.len()),
            is_last: false,
            offset: 0,
            after_match: false,
            flushed: None,
        }
    }

    /// Takes the next bytes of the member.
    pub fn update(&mut self, bytes: &[u8]) {
        if matches!(self.place, ScanPlace::Lost) {
            return;
        }
        self.rest.extend_from_slice(bytes);
        self.scan(RESERVE);
    }

    /// The checkpoints, if what was given is one member that stands for `length` bytes, flushed where the framing is.
    pub fn finish(mut self, length: u64) -> Option<Checkpoints> {
        self.scan(0);
        let trailer = self.rest.get(usize::from(self.bit > 0)..)?.try_into().ok()?;
        self.marks.pop_if(|mark| mark.offset() + NEAR_END > length);
        let is_whole = matches!(self.place, ScanPlace::End) && self.offset == length;
        let is_flushed = matches!(self.recipe.framing, Framing::Blocks { .. });
        let is_whole = is_whole && self.flushed.is_none_or(|at| is_flushed && at == length);
        is_whole.then_some(Checkpoints { trailer, marks: self.marks })
    }

    /// Reads on as long as more than `reserve` bytes are there.
    fn scan(&mut self, reserve: usize) {
        let rest = std::mem::take(&mut self.rest);
        let mut at = self.bit;
        while !matches!(self.place, ScanPlace::End | ScanPlace::Lost) {
            let left = rest.len().saturating_sub(at.div_ceil(8));
            match &mut self.place {
                ScanPlace::Header(missing) | ScanPlace::Stored(missing) if *missing > 0 => {
                    let passed = left.min(*missing);
                    *missing -= passed;
                    at += 8 * passed;
                    if matches!(self.place, ScanPlace::Stored(_)) {
                        self.offset += passed as u64;
                    }
                    if passed == 0 {
                        break;
                    }
                }
                ScanPlace::Header(_) => self.place = ScanPlace::BlockHead,
                ScanPlace::Stored(_) => self.end_block(),
                ScanPlace::BlockHead if left > reserve => at = self.enter(&rest, at).unwrap_or(at),
                ScanPlace::Coded(_) if left > reserve.min(TOKEN) => at = self.tokens(&rest, at, reserve.min(TOKEN)),
                _ if reserve > 0 => break,
                // The stream ends within a block.
                _ => self.place = ScanPlace::Lost,
            }
        }
        let whole = at / 8;
        self.bit = at % 8;
        self.gone += whole as u64;
        self.rest = rest;
        self.rest.drain(..whole);
    }

    fn end_block(&mut self) {
        self.place = if self.is_last { ScanPlace::End } else { ScanPlace::BlockHead };
    }

    /// Reads the head of a block; gives where it ends.
    fn enter(&mut self, rest: &[u8], at: usize) -> Option<usize> {
        let partial = rest[at / 8] & ((1 << (at % 8)) - 1);
        self.keep_mark(BitPosition { bytes: self.gone + (at / 8) as u64, partial, count: (at % 8) as u8 });
        let mut reader = BitReader::new(rest, at);
        self.place = ScanPlace::Lost;
        let (is_last, form) = reader.block()?;
        if matches!(form, BlockForm::Stored(0)) && !is_last && !self.is_at_border() {
            self.flushed.get_or_insert(self.offset);
        }
        self.is_last = is_last;
        self.after_match = false;
        self.place = match form {
            BlockForm::Stored(length) => ScanPlace::Stored(length),
            BlockForm::Coded(codes) => ScanPlace::Coded(codes),
        };
        Some(reader.position())
    }

    /// Whether a block of the framing ends here.
    fn is_at_border(&self) -> bool {
        let size = self.recipe.framing.size().into();
        size > 0 && self.offset.is_multiple_of(size)
    }

    /// Reads tokens up to the end of the block, or until no more than `reserve` bytes are left; gives where they end.
    fn tokens(&mut self, rest: &[u8], at: usize, reserve: usize) -> usize {
        let ScanPlace::Coded(codes) = &self.place else { return at };
        let mut reader = BitReader::new(rest, at);
        let end = 8 * (rest.len() - reserve);
        let mut next = None;
        while next.is_none() && reader.position() < end {
            match reader.item(codes) {
                Some(BlockItem::Token(token)) => {
                    self.offset += token.length() as u64;
                    self.after_match = token.is_match();
                }
                Some(BlockItem::End) => next = Some(true),
                None => next = Some(false),
            }
        }
        match next {
            Some(true) => self.end_block(),
            Some(false) => self.place = ScanPlace::Lost,
            None => {}
        }
        reader.position()
    }

    /// Whether the encoder can be taken up between tokens.
    fn is_chain(&self) -> bool {
        self.recipe.engine.family() == Family::Go && self.recipe.engine.level() >= 4
    }

    /// A block begins: keeps a checkpoint if the encoder has one here, far enough from the one before.
    fn keep_mark(&mut self, position: BitPosition) {
        let mark = match self.recipe.framing {
            // The encoder has nothing in hand where the block before ended with a match.
            Framing::Stream if self.after_match && self.is_chain() => {
                ChainMark::between_tokens(self.offset, position).map(Checkpoint::Chain)
            }
            framing => Checkpoint::between_blocks(framing, self.offset, position),
        };
        let Some(mark) = mark else { return };
        // A block that is compressed apart ends with empty blocks.
        if self.marks.last().is_some_and(|last| last.offset() == mark.offset()) {
            self.marks.pop();
        }
        let last = self.marks.last().map_or(0, Checkpoint::offset);
        if mark.offset() >= last.saturating_add(self.every) {
            self.marks.push(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Encoder;
    use crate::recipe::Engine;
    use crate::segment::StreamSegment;
    use crate::test_data::mixture;

    fn recipe(family: Family, level: i8, framing: Framing) -> Recipe {
        let engine = Engine::new(family, level).expect("the family has the level");
        Recipe { engine, framing, header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] }
    }

    fn stream(recipe: &Recipe, content: &[u8], every: u64) -> (Vec<u8>, Checkpoints) {
        let mut made = Vec::new();
        let mut sink = |bytes: &[u8]| {
            made.extend_from_slice(bytes);
            Ok::<(), std::convert::Infallible>(())
        };
        let mut encoder = Encoder::with_checkpoints(recipe, every);
        let Ok(()) = encoder.write(content, &mut sink);
        let Ok(marks) = encoder.finish(&mut sink);
        (made, marks)
    }

    fn scanned(recipe: &Recipe, gzip: &[u8], piece: usize, length: usize) -> Option<Checkpoints> {
        let mut scanner = MarkScanner::new(recipe, 1 << 16);
        gzip.chunks(piece).for_each(|bytes| scanner.update(bytes));
        scanner.finish(length as u64)
    }

    /// Asserts that the segments from scanned checkpoints on are the stream.
    fn assert_segments(recipe: &Recipe, content: &[u8], least: usize) {
        let (gzip, own) = stream(recipe, content, 1 << 16);
        let marks = scanned(recipe, &gzip, 10_007, content.len()).expect("it is a stream of the recipe");
        assert!(marks.segments() >= least, "{} segments, of {} by the encoder", marks.segments(), own.segments());
        assert_eq!(marks.trailer, own.trailer);
        assert_eq!(scanned(recipe, &gzip, gzip.len(), content.len()), Some(marks.clone()), "cut otherwise");
        let mut made = Vec::new();
        for number in 0..marks.segments() {
            let plan = marks.plan(number).expect("there is one");
            let part = |from: u64, to: u64| &content[from as usize..(to as usize).min(content.len())];
            let history = part(plan.history.start, plan.history.end);
            let mut segment =
                StreamSegment::new(recipe, &marks, number, history).expect("it is a checkpoint of its own");
            let mut sink = |bytes: &[u8]| {
                made.extend_from_slice(bytes);
                Ok::<(), std::convert::Infallible>(())
            };
            let Ok(is_complete) = segment.write(part(plan.content.start, plan.content.end), &mut sink);
            if !is_complete {
                let Ok(()) = segment.finish(&mut sink);
            }
        }
        assert!(made == gzip, "{recipe:?}: another stream");
    }

    #[test]
    fn streams_are_taken_up_where_a_scan_found_checkpoints() {
        let content = mixture(3_000_000);
        for level in 4..=9 {
            assert_segments(&recipe(Family::Go, level, Framing::Stream), &content, 3);
        }
        let blocks = Framing::Blocks { size: 70_000 };
        assert_segments(&recipe(Family::Klauspost1_18_2, 5, blocks), &content, 15);
        assert_segments(&recipe(Family::Go, 6, blocks), &content, 15);
        assert_segments(&recipe(Family::Zlib, 6, Framing::PIGZ), &content, 10);
    }

    #[test]
    fn a_stream_that_is_cut_damaged_or_longer_has_no_checkpoints() {
        let recipe = recipe(Family::Go, 6, Framing::Stream);
        let content = mixture(400_000);
        let (gzip, _) = stream(&recipe, &content, 1 << 16);
        let scan = |gzip: &[u8], length| scanned(&recipe, gzip, 4096, length);
        assert!(scan(&gzip, content.len()).is_some());
        assert_eq!(scan(&gzip, content.len() - 1), None);
        assert_eq!(scan(&gzip[..gzip.len() - 1], content.len()), None);
        assert_eq!(scan(&[&gzip[..], &[0]].concat(), content.len()), None);
        // Another framing.
        for framing in [Framing::FLUSHED, Framing::Blocks { size: 100_000 }] {
            let (flushed, _) = stream(&Recipe { framing, ..recipe.clone() }, &content, 1 << 16);
            assert_eq!(scan(&flushed, content.len()), None, "{framing:?}");
        }
        let other = self::recipe(Family::Go, 6, Framing::Blocks { size: 100_001 });
        assert!(scanned(&other, &gzip, 4096, content.len()).is_some_and(|marks| marks.segments() == 1));
        let (blocks, _) = stream(&self::recipe(Family::Go, 6, Framing::Blocks { size: 100_000 }), &content, 1 << 16);
        assert_eq!(scanned(&other, &blocks, 4096, content.len()), None);
        // What a damaged token becomes is not seen here: it is when the stream is made again.
        let mut damaged = gzip.clone();
        damaged[10] ^= 0xff;
        assert_eq!(scan(&damaged, content.len()), None, "a damaged head of a block");
    }
}
