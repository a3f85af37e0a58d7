//! Deflate streams without a gzip header and trailer, as zip files have them.

use super::bits::BitWriter;
use super::zlib::ZlibEncoder;

/// Content that is taken at a time, so that little output waits.
const PIECE: usize = 1 << 16;

/// Makes deflate streams by zlib, one after another.
#[derive(Debug)]
pub struct RawEncoder {
    zlib: ZlibEncoder,
    bits: BitWriter,
}

impl RawEncoder {
    /// An encoder of a level from 1 to 9; `None` for others.
    pub fn new(level: u8) -> Option<Self> {
        let level = i8::try_from(level).ok().filter(|level| (1..=9).contains(level))?;
        Some(Self { zlib: ZlibEncoder::new(level), bits: BitWriter::default() })
    }

    /// Takes content of the stream, and gives `sink` what of it is complete. After an error of the sink the stream is to be
    /// given up by [`RawEncoder::reset`].
    pub fn write<E>(&mut self, content: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for piece in content.chunks(PIECE) {
            self.zlib.write(piece, &mut self.bits);
            self.drain(sink)?;
        }
        Ok(())
    }

    /// Ends the stream, and gives `sink` the rest of it. The next content is that of another stream.
    pub fn finish<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.zlib.flush(true, &mut self.bits);
        self.drain(sink)?;
        self.reset();
        Ok(())
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.zlib.reset();
        self.bits = BitWriter::default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::mixture;
    use crate::{Encoder, Engine, Family, Framing, Recipe};

    fn collect(made: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), std::convert::Infallible> {
        |bytes| {
            made.extend_from_slice(bytes);
            Ok(())
        }
    }

    #[test]
    fn a_stream_is_that_of_gzip_whatever_was_made_before_it() {
        for level in 1..=9 {
            let mut encoder = RawEncoder::new(level).expect("a level of zlib");
            // A later stream must not find what an earlier one left; one is given up halfway.
            for length in [200_000, 70_000, 1, 0, 90_000] {
                let content = &mixture(300_000)[length / 2..length / 2 + length];
                let Ok(()) = encoder.write(content, &mut |_: &[u8]| Ok::<_, std::convert::Infallible>(()));
                encoder.reset();
                let mut made = Vec::new();
                let Ok(()) = encoder.write(content, &mut collect(&mut made));
                let Ok(()) = encoder.finish(&mut collect(&mut made));
                let engine = Engine::new(Family::Zlib, level.cast_signed()).expect("a level of zlib");
                let recipe = Recipe { engine, framing: Framing::Stream, header: Vec::new() };
                let (mut gzip, mut one) = (Vec::new(), Encoder::new(&recipe));
                let Ok(()) = one.write(content, &mut collect(&mut gzip));
                let Ok(_) = one.finish(&mut collect(&mut gzip));
                assert!(made == gzip[..gzip.len() - 8], "level {level}, {length} bytes");
            }
        }
        assert!(RawEncoder::new(0).is_none() && RawEncoder::new(10).is_none());
    }
}
