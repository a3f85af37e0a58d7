//! Contents expanded: deflate streams of zip files within them are found, and read as what they inflate to.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::{
    deflate::RawEncoder,
    nested::{MOST_STREAMS, NestedStream, NestedStreams},
    sketch::{Sketch, Sketcher},
};

/// What the header of a member of a zip file begins with (APPNOTE, 4.3.7).
const SIGNATURE: &[u8] = b"PK\x03\x04";

/// Bytes of that header before its name.
const HEADER: usize = 30;

/// The shortest stream that is expanded, in bytes.
const LEAST_STREAM: usize = 64;

/// The longest stream that is expanded, as it is and inflated.
const MOST_STREAM: usize = 16 << 20;

/// Streams must be this part of a content for it to be expanded.
const LEAST_PART: u64 = 32;

/// So many streams of unknown encoders, and four times as many as of known ones, and no more are tried.
const MOST_FAILED: usize = 64;

/// Levels in the order in which they are tried first.
const LEVELS: [u8; 9] = [6, 9, 8, 7, 5, 4, 3, 2, 1];

/// Bytes that are inflated at a time.
const STEP: usize = 64 << 10;

/// A content that is worth expanding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExpandedSurvey {
    /// The streams, as a head has them.
    pub(super) nested: String,
    /// Bytes of the expanded content.
    pub(super) length: u64,
    /// What it looks like.
    pub(super) sketch: Sketch,
}

/// Finds the streams of a content that zlib makes again, and sketches it, both as it is and expanded.
pub(super) struct StreamFinder {
    found: Vec<NestedStream>,
    /// Bytes since the last stream.
    gap: u64,
    failed: usize,
    /// Bytes of the content, of the expanded one, and of the streams as they are.
    content: u64,
    expanded: u64,
    deflated: u64,
    /// The sketch of the expanded content, and that of the content itself from the first stream on: before it they are the same.
    sketcher: Sketcher,
    plain: Option<Sketcher>,
    /// What may be a header, from its first byte on.
    header: Vec<u8>,
    /// The stream under way, as it is and inflated.
    is_inflating: bool,
    inflate: Decompress,
    compressed: Vec<u8>,
    inflated: Vec<u8>,
    /// The level that was right last is tried first.
    levels: [u8; 9],
    encoders: [Option<RawEncoder>; 10],
}

impl StreamFinder {
    pub(super) fn new() -> Self {
        Self {
            found: Vec::new(),
            gap: 0,
            failed: 0,
            content: 0,
            expanded: 0,
            deflated: 0,
            sketcher: Sketcher::default(),
            plain: None,
            header: Vec::new(),
            is_inflating: false,
            inflate: Decompress::new(false),
            compressed: Vec::new(),
            inflated: Vec::new(),
            levels: LEVELS,
            encoders: Default::default(),
        }
    }

    /// Takes in the next bytes of the content.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.content += bytes.len() as u64;
        while !bytes.is_empty() {
            let taken = match (self.is_inflating, self.header.is_empty()) {
                (true, _) => self.go_on(bytes),
                (false, true) => self.scan(bytes),
                (false, false) => self.read_header(bytes),
            };
            bytes = &bytes[taken..];
        }
    }

    /// Passes bytes up to the next header.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let is_over =
            self.found.len() == MOST_STREAMS || (self.failed > MOST_FAILED && self.failed > 4 * self.found.len());
        if is_over {
            self.pass(bytes);
            return bytes.len();
        }
        let begun = || (1..SIGNATURE.len()).rev().find(|&length| bytes.ends_with(&SIGNATURE[..length]));
        let (at, taken) = match memmem::find(bytes, SIGNATURE) {
            Some(at) => (at, at + SIGNATURE.len()),
            None => (bytes.len() - begun().unwrap_or(0), bytes.len()),
        };
        self.pass(&bytes[..at]);
        self.header.extend_from_slice(&bytes[at..taken]);
        taken
    }

    fn read_header(&mut self, bytes: &[u8]) -> usize {
        let whole = match self.header.len() {
            ..4 => SIGNATURE.len(),
            4..HEADER => HEADER,
            _ => HEADER + self.names(),
        };
        let taken = bytes.len().min(whole - self.header.len());
        self.header.extend_from_slice(&bytes[..taken]);
        if !self.header.starts_with(&SIGNATURE[..self.header.len().min(SIGNATURE.len())]) {
            // A beginning that was none: the signature has its first byte only once.
            let header = std::mem::take(&mut self.header);
            let next = header[1..].iter().position(|&byte| byte == SIGNATURE[0]).map_or(header.len(), |at| at + 1);
            self.pass(&header[..next]);
            self.header.extend_from_slice(&header[next..]);
        } else if self.header.len() >= HEADER && self.header.len() == HEADER + self.names() {
            let header = std::mem::take(&mut self.header);
            self.pass(&header);
            // Deflate, and not encrypted.
            self.is_inflating = header[8..10] == [8, 0] && header[6] & 1 == 0;
        }
        taken
    }

    /// Bytes of a header behind its fixed part.
    fn names(&self) -> usize {
        [26, 28].map(|at| usize::from(u16::from_le_bytes([self.header[at], self.header[at + 1]]))).iter().sum()
    }

    /// Inflates some more.
    fn go_on(&mut self, bytes: &[u8]) -> usize {
        let before = (self.inflate.total_in(), self.inflated.len());
        self.inflated.reserve(STEP);
        let status = self.inflate.decompress_vec(bytes, &mut self.inflated, FlushDecompress::None);
        let taken = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(usize::MAX).min(bytes.len());
        self.compressed.extend_from_slice(&bytes[..taken]);
        let is_stuck = taken == 0 && self.inflated.len() == before.1;
        match status {
            Ok(Status::StreamEnd) => self.end_stream(),
            Ok(_) if !is_stuck && self.compressed.len().max(self.inflated.len()) <= MOST_STREAM => {}
            _ => self.give_up(),
        }
        taken
    }

    fn end_stream(&mut self) {
        let is_long = self.compressed.len() >= LEAST_STREAM && !self.inflated.is_empty();
        let Some(level) = self.level().filter(|_| is_long) else {
            self.failed += usize::from(is_long);
            return self.give_up();
        };
        if self.plain.is_none() {
            self.plain = Some(self.sketcher.clone());
        }
        self.plain.as_mut().into_iter().for_each(|plain| plain.update(&self.compressed));
        self.sketcher.update(&self.inflated);
        let length = self.inflated.len() as u64;
        self.found.push(NestedStream { gap: std::mem::take(&mut self.gap), length, level });
        self.expanded += length;
        self.deflated += self.compressed.len() as u64;
        self.next_stream();
    }

    /// The stream is passed as it is.
    fn give_up(&mut self) {
        let compressed = std::mem::take(&mut self.compressed);
        self.pass(&compressed);
        self.compressed = compressed;
        self.next_stream();
    }

    fn next_stream(&mut self) {
        self.is_inflating = false;
        self.compressed.clear();
        self.inflated.clear();
        self.inflate.reset(false);
    }

    /// The level that makes the stream again, from all that it inflates to.
    fn level(&mut self) -> Option<u8> {
        for number in 0..self.levels.len() {
            let level = self.levels[number];
            let encoder = &mut self.encoders[usize::from(level)];
            let encoder = match encoder {
                Some(encoder) => encoder,
                None => encoder.insert(RawEncoder::new(level)?),
            };
            let mut rest = &self.compressed[..];
            let mut compare = |made: &[u8]| rest.strip_prefix(made).map(|later| rest = later).ok_or(());
            let outcome = encoder.write(&self.inflated, &mut compare).and_then(|()| encoder.finish(&mut compare));
            if outcome.is_ok() && rest.is_empty() {
                self.levels[..=number].rotate_right(1);
                return Some(level);
            }
            encoder.reset();
        }
        None
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.gap += bytes.len() as u64;
        self.expanded += bytes.len() as u64;
        self.sketcher.update(bytes);
        self.plain.as_mut().into_iter().for_each(|plain| plain.update(bytes));
    }

    /// What the content looks like, and how it is expanded if that is worth it.
    pub(super) fn finish(mut self) -> (Sketch, Option<ExpandedSurvey>) {
        self.give_up();
        let header = std::mem::take(&mut self.header);
        self.pass(&header);
        let sketch = self.sketcher.finish();
        let Some(plain) = self.plain else { return (sketch, None) };
        let list = NestedStreams { content: self.content, streams: self.found };
        let (nested, length) = (super::head::encode(&list.encode()), self.expanded);
        let is_worth_it = self.deflated >= self.content / LEAST_PART;
        (plain.finish(), is_worth_it.then_some(ExpandedSurvey { nested, length, sketch }))
    }
}

/// A content, expanded as it is read.
pub(super) struct Expanded<R> {
    content: R,
    /// What is left of the stream that is next or under way.
    current: Option<NestedStream>,
    later: std::vec::IntoIter<NestedStream>,
    inflate: Decompress,
}

impl<R: BufRead> Expanded<R> {
    pub(super) fn new(content: R, list: NestedStreams) -> Self {
        let mut later = list.streams.into_iter();
        Self { content, current: later.next(), later, inflate: Decompress::new(false) }
    }
}

impl<R: BufRead> Read for Expanded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let unlike = || io::Error::new(io::ErrorKind::InvalidData, "a stream is not what it was");
        while !buffer.is_empty() {
            let Some(stream) = &mut self.current else { return self.content.read(buffer) };
            if stream.gap > 0 {
                let read = (&mut self.content).take(stream.gap).read(buffer)?;
                stream.gap -= read as u64;
                return Ok(read);
            }
            let input = self.content.fill_buf()?;
            let before = (self.inflate.total_in(), self.inflate.total_out());
            // The end of a stream may need input after its last byte is made.
            let most = usize::try_from(stream.length).unwrap_or(usize::MAX).min(buffer.len());
            let mut none = [0];
            let output = if most == 0 { &mut none[..] } else { &mut buffer[..most] };
            let status = self.inflate.decompress(input, output, FlushDecompress::None)?;
            let made = self.inflate.total_out() - before.1;
            let taken = self.inflate.total_in() - before.0;
            let is_stuck = made == 0 && taken == 0 && status != Status::StreamEnd;
            self.content.consume(usize::try_from(taken).unwrap_or(usize::MAX));
            stream.length = stream.length.checked_sub(made).filter(|_| !is_stuck).ok_or_else(unlike)?;
            if status == Status::StreamEnd {
                if stream.length > 0 {
                    return Err(unlike());
                }
                self.inflate.reset(false);
                self.current = self.later.next();
            }
            if made > 0 {
                return Ok(usize::try_from(made).unwrap_or(usize::MAX));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::pack::{deflate::test_data::mixture, nested::NestedEncoder};

    fn deflated(level: u8, content: &[u8]) -> Vec<u8> {
        let mut made = Vec::new();
        let mut sink = |bytes: &[u8]| {
            made.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let mut encoder = RawEncoder::new(level).unwrap();
        let Ok(()) = encoder.write(content, &mut sink);
        let Ok(()) = encoder.finish(&mut sink);
        made
    }

    /// A member of a zip file.
    fn member(method: u8, name: &str, stream: &[u8]) -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[20, 0, 8, 8, method], &[0; 17]].concat();
        bytes.extend_from_slice(&[name.len().to_le_bytes()[0], 0, 3, 0]);
        [&bytes[..], name.as_bytes(), b"ext", stream].concat()
    }

    /// The list of what is found, with the expanded content.
    fn expanded(content: &[u8], piece: usize) -> Option<(NestedStreams, Vec<u8>)> {
        let mut finder = StreamFinder::new();
        content.chunks(piece).for_each(|bytes| finder.update(bytes));
        let (_, survey) = finder.finish();
        let survey = survey?;
        let list = NestedStreams::parse(&survey.nested).unwrap();
        let mut expanded = Vec::new();
        Expanded::new(content, list.clone()).read_to_end(&mut expanded).unwrap();
        assert_eq!(expanded.len() as u64, survey.length);
        Some((list, expanded))
    }

    /// The content, of what it is expanded to.
    fn again(list: &NestedStreams, expanded: &[u8], piece: usize) -> Vec<u8> {
        let (mut encoder, mut made) = (NestedEncoder::new(list), Vec::new());
        for bytes in expanded.chunks(piece) {
            let Ok(()) = encoder.write(bytes, &mut |bytes: &[u8]| {
                made.extend_from_slice(bytes);
                Ok::<(), Infallible>(())
            });
        }
        made
    }

    #[test]
    fn streams_of_zlib_are_found_expanded_and_made_again_however_the_content_is_cut() {
        let text = mixture(220_000);
        let unknown = {
            let mut unknown = Vec::with_capacity(100_000);
            let mut encoder = flate2::Compress::new(flate2::Compression::new(6), false);
            encoder.compress_vec(&text[..90_000], &mut unknown, flate2::FlushCompress::Finish).unwrap();
            unknown
        };
        let content = [
            &b"PKP\x03PPK\x03PK\x03"[..],
            &member(8, "a", &deflated(6, &text[..100_000])),
            &member(8, "a longer name", &deflated(9, &text[100_000..])),
            &member(0, "stored", &text[..5000]),
            &member(8, "damaged", b"\xff\xff no stream at all"),
            &member(8, "by another", &unknown),
            &member(8, "short", &deflated(6, b"short")),
            &member(8, "again", &deflated(1, &text[7000..9000])),
            b"PK\x03",
        ]
        .concat();
        let (list, whole) = expanded(&content, content.len()).expect("most of it is streams");
        let lengths: Vec<_> = list.streams.iter().map(|stream| stream.length).collect();
        assert_eq!(lengths, [100_000, 120_000, 2000]);
        assert_eq!((list.streams[0].level, list.streams[1].level), (6, 9));
        assert!(again(&list, &whole, whole.len()) == content, "another content is made of it");
        for piece in [1, 3, 1000, 65_537] {
            assert!(expanded(&content, piece).as_ref() == Some(&(list.clone(), whole.clone())), "pieces of {piece}");
            assert!(again(&list, &whole, piece) == content, "pieces of {piece}");
        }
    }

    #[test]
    fn a_content_with_few_streams_stays_as_it_is_and_a_bomb_is_not_inflated() {
        let stream = member(8, "small", &deflated(6, &mixture(2000)));
        assert_eq!(expanded(&[&mixture(200_000)[..], &stream].concat(), 5000), None);
        let bomb = member(8, "bomb", &deflated(9, &vec![0; MOST_STREAM + (1 << 20)]));
        assert_eq!(expanded(&bomb, 4096), None);
        // What is found must be what is read.
        let (list, _) = expanded(&stream, 100).expect("all of it is a stream");
        let mut other = stream.clone();
        other[60..70].fill(0xff);
        assert!(Expanded::new(&other[..], list.clone()).read_to_end(&mut Vec::new()).is_err());
        let shorter = NestedStream { length: 1000, ..list.streams[0] };
        let list = NestedStreams { streams: vec![shorter], ..list };
        assert!(Expanded::new(&stream[..], list).read_to_end(&mut Vec::new()).is_err());
    }
}
