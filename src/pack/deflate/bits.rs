//! Bits in the order of deflate: the first bit is the lowest of its byte (RFC 1951, 3.1.1).

/// Collects bits into bytes. What is complete waits in a buffer until [`BitWriter::take`] hands it on.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte of `bytes` yet, the first one lowest.
    pending: u64,
    count: u32,
    /// Bytes that were complete and are forgotten.
    gone: u64,
}

/// A place in a stream of bits: whole bytes, and the bits of the byte that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitPosition {
    pub(super) bytes: u64,
    /// The bits of the unfinished byte, the first one lowest.
    pub(super) partial: u8,
    /// How many they are: 0 to 7.
    pub(super) count: u8,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `value`; the others must be zero. At most 32 at a time.
    #[inline]
    pub(super) fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && (count == 32 || value >> count == 0));
        self.pending |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Moves bytes that are whole, but were kept back, to the others.
    pub(super) fn settle(&mut self) {
        while self.count >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Fills the last byte with zero bits.
    pub(super) fn align(&mut self) {
        let whole = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..whole]);
        self.pending = 0;
        self.count = 0;
    }

    /// Appends bytes. The writer must be aligned.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0, "bytes begin at a byte");
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes that are complete.
    pub(super) fn complete(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits wait to fill a byte, or have filled some that are not complete yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.count as usize
    }

    /// A writer that goes on at a position. What it gives begins with the byte that the position has begun.
    pub(super) fn resume(position: BitPosition) -> Self {
        let BitPosition { bytes, partial, count } = position;
        Self { bytes: Vec::new(), pending: partial.into(), count: count.into(), gone: bytes }
    }

    /// Where the next bit goes.
    pub(super) fn position(&self) -> BitPosition {
        let whole = self.count / 8;
        let partial = (self.pending >> (8 * whole)) as u8;
        let bytes = self.gone + self.bytes.len() as u64 + u64::from(whole);
        BitPosition { bytes, partial, count: (self.count % 8) as u8 }
    }

    /// Forgets the bytes that are complete, and keeps the room they took.
    pub(super) fn clear(&mut self) {
        self.gone += self.bytes.len() as u64;
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bit_is_the_lowest_and_bytes_follow_in_order() {
        let mut writer = BitWriter::default();
        writer.put(1, 1);
        writer.put(0b10, 2);
        writer.put(0xffff_ffff, 32);
        writer.align();
        writer.bytes(&[7]);
        assert_eq!(writer.complete(), [0b1111_1101, 0xff, 0xff, 0xff, 0b111, 7]);
        writer.clear();
        assert!(writer.complete().is_empty());
    }

    #[test]
    fn a_writer_resumes_in_the_middle_of_a_byte() {
        let mut whole = BitWriter::default();
        let mut first = BitWriter::default();
        for writer in [&mut whole, &mut first] {
            writer.put(0x3ff, 10);
            writer.put(0x1_5555, 17);
        }
        let position = first.position();
        first.settle();
        assert_eq!((first.complete(), first.position()), (&[0xff, 0x57, 0x55][..], position));
        assert_eq!(position, BitPosition { bytes: 3, partial: 0b101, count: 3 });
        let mut second = BitWriter::resume(position);
        assert_eq!(second.position(), position);
        for writer in [&mut whole, &mut second] {
            writer.put(0xabc, 12);
            writer.settle();
            writer.align();
        }
        assert_eq!(whole.complete()[3..], *second.complete());
        second.clear();
        assert_eq!(second.position(), whole.position());
    }

    #[test]
    fn aligning_what_is_aligned_adds_nothing() {
        let mut writer = BitWriter::default();
        writer.put(0xab, 8);
        writer.align();
        writer.align();
        assert_eq!(writer.complete(), [0xab]);
    }
}
