//! Deflate streams within a content, which is kept expanded: zip files in layers, jars most of all.
//!
//! ```text
//! offset  size  member
//!      0     1  version: 1
//!      1     8  bytes of the content
//!      9     4  how many streams follow
//!      .     .  bytes between the stream and the one before it, as they are
//!      .     .  bytes that the stream inflates to
//!      .     1  the level of zlib that makes it again: 1 to 9
//! ```
//! The version, the level and what has a size are little-endian; the other two are numbers of seven bits a byte, the lowest first,
//! of which all but the last have the highest bit set (LEB128), as short as they can be.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::deflate::RawEncoder;

const VERSION: u8 = 1;

/// The most streams of a content.
pub(super) const MOST_STREAMS: usize = 1 << 20;

/// A deflate stream within a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NestedStream {
    /// Bytes before it that are as they are.
    pub(super) gap: u64,
    /// Bytes that it inflates to.
    pub(super) length: u64,
    /// The level of zlib.
    pub(super) level: u8,
}

/// The streams of a content, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NestedStreams {
    /// Bytes of the content.
    pub(super) content: u64,
    pub(super) streams: Vec<NestedStream>,
}

impl NestedStreams {
    /// Bytes of the expanded content up to the end of the last stream; `None` if no content has so many.
    pub(super) fn expanded(&self) -> Option<u64> {
        let add = |sum: u64, stream: &NestedStream| sum.checked_add(stream.gap)?.checked_add(stream.length);
        self.streams.iter().try_fold(0, add)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.content.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.streams.len()).unwrap_or(u32::MAX).to_le_bytes());
        for stream in &self.streams {
            put(stream.gap, &mut bytes);
            put(stream.length, &mut bytes);
            bytes.push(stream.level);
        }
        bytes
    }

    /// Reads the streams as a head has them.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|error| error.to_string())?;
        Self::decode(&bytes).map_err(|reason| format!("nested streams: {reason}"))
    }

    /// Reads the streams that all of `bytes` are.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut reader = ListBytes(bytes);
        let [version] = reader.take()?;
        if version != VERSION {
            return Err("they are of a later version");
        }
        let content = u64::from_le_bytes(reader.take()?);
        let count = u32::from_le_bytes(reader.take()?) as usize;
        if count > MOST_STREAMS {
            return Err("they are more than any content has");
        }
        let mut streams = Vec::new();
        for _ in 0..count {
            let (gap, length, [level]) = (reader.number()?, reader.number()?, reader.take()?);
            if length == 0 || !(1..=9).contains(&level) {
                return Err("one is empty, or of a level that zlib does not have");
            }
            streams.push(NestedStream { gap, length, level });
        }
        if reader.0.is_empty() { Ok(Self { content, streams }) } else { Err("bytes follow them") }
    }
}

fn put(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let [lowest, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(lowest);
        }
        bytes.push(lowest | 0x80);
    }
}

struct ListBytes<'a>(&'a [u8]);

impl ListBytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("they end too early")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err("a number is longer than it must be") } else { Ok(number) };
            }
        }
        Err("a number is larger than any")
    }
}

/// Makes a content of what it is expanded to.
#[derive(Debug)]
pub(super) struct NestedEncoder<'a> {
    /// The stream that is next or under way: what is left of its gap and of its length.
    current: Option<NestedStream>,
    later: std::slice::Iter<'a, NestedStream>,
    /// By level.
    encoders: [Option<RawEncoder>; 10],
}

impl<'a> NestedEncoder<'a> {
    pub(super) fn new(list: &'a NestedStreams) -> Self {
        let mut later = list.streams.iter();
        Self { current: later.next().copied(), later, encoders: Default::default() }
    }

    /// Takes expanded content, and gives `sink` the content.
    pub(super) fn write<E>(
        &mut self,
        mut expanded: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !expanded.is_empty() {
            let Some(stream) = &mut self.current else { return sink(expanded) };
            let is_gap = stream.gap > 0;
            let left = if is_gap { &mut stream.gap } else { &mut stream.length };
            let (now, later) = expanded.split_at(usize::try_from(*left).unwrap_or(usize::MAX).min(expanded.len()));
            *left -= now.len() as u64;
            expanded = later;
            if is_gap {
                sink(now)?;
                continue;
            }
            let encoder = &mut self.encoders[usize::from(stream.level)];
            let encoder = match encoder {
                Some(encoder) => encoder,
                None => encoder.insert(RawEncoder::new(stream.level).expect("lists have levels of zlib only")),
            };
            encoder.write(now, sink)?;
            if stream.length == 0 {
                encoder.finish(sink)?;
                self.current = self.later.next().copied();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> NestedStreams {
        let stream = |gap, length, level| NestedStream { gap, length, level };
        NestedStreams { content: 70_000, streams: vec![stream(0, 1, 1), stream(127, 128, 9), stream(1 << 40, 300, 6)] }
    }

    #[test]
    fn a_list_comes_back_from_its_bytes_and_nothing_else_is_one() {
        let bytes = list().encode();
        assert_eq!(NestedStreams::decode(&bytes), Ok(list()));
        assert_eq!(list().expanded(), Some((1 << 40) + 1 + 127 + 128 + 300));
        for length in 0..bytes.len() {
            assert_eq!(NestedStreams::decode(&bytes[..length]), Err("they end too early"), "{length}");
        }
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            NestedStreams::decode(&bytes).expect_err("it is not a list")
        };
        assert_eq!(refused(&|bytes| bytes[0] = 2), "they are of a later version");
        assert_eq!(refused(&|bytes| bytes[12] = 1), "they are more than any content has");
        assert_eq!(refused(&|bytes| bytes.push(0)), "bytes follow them");
        // The first stream: an empty one, a level of none, a number with a byte too many, one without an end.
        for (from, to, with) in [(14, 15, &[0][..]), (15, 16, &[0]), (15, 16, &[10])] {
            let reason = refused(&|bytes| drop(bytes.splice(from..to, with.iter().copied())));
            assert_eq!(reason, "one is empty, or of a level that zlib does not have", "{with:?} at {from}");
        }
        let reason = refused(&|bytes| drop(bytes.splice(14..15, [0x81, 0])));
        assert_eq!(reason, "a number is longer than it must be");
        let reason = refused(&|bytes| drop(bytes.splice(14..15, [0xff; 9])));
        assert_eq!(reason, "a number is larger than any");
        let endless = NestedStream { gap: u64::MAX, length: 1, level: 1 };
        assert_eq!(NestedStreams { content: 0, streams: vec![endless] }.expanded(), None);
    }
}
