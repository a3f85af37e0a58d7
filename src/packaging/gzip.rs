//! Gzip whose bytes depend on the content alone: blocks are stored, not compressed, so no version of a compressor has a say
//! (RFC 1951, 3.2.4; RFC 1952).

use std::io::{self, Write};

use flate2::Crc;

/// Most bytes of a stored block.
const BLOCK: usize = u16::MAX as usize;

/// The header: deflate, no time, no name, system unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A writer of gzip. [`StoredGzip::finish`] writes its end.
pub(super) struct StoredGzip<W> {
    out: W,
    crc: Crc,
    block: Vec<u8>,
}

impl<W: Write> StoredGzip<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self { out, crc: Crc::new(), block: Vec::with_capacity(BLOCK) })
    }

    fn end_block(&mut self, is_last: bool) -> io::Result<()> {
        let length = u16::try_from(self.block.len()).unwrap_or(u16::MAX);
        self.out.write_all(&[u8::from(is_last)])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&(!length).to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Writes the last block and the trailer, and returns what was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end_block(true)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for StoredGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.end_block(false)?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        self.crc.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_decoder_gets_back_what_was_written() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let content: Vec<u8> = (0..=250).cycle().take(size).collect();
            let mut gzip = StoredGzip::new(Vec::new()).unwrap();
            for piece in content.chunks(10_007) {
                gzip.write_all(piece).unwrap();
            }
            let packed = gzip.finish().unwrap();
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
            assert!(plain == content, "{size} bytes");
        }
    }
}
