//! The header of a gzip member (RFC 1952, 2.3).

/// The longest header that is read: extra fields, a name and a comment included.
pub(super) const MAX_HEADER: usize = 65_535;

/// Why bytes do not begin with a gzip header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Other magic bytes, or another method than deflate.
    #[error("not a gzip header: it begins with {found:02x?}")]
    Magic {
        /// The first three bytes.
        found: [u8; 3],
    },
    /// Flags that the format reserves.
    #[error("gzip header with reserved flags {flags:#04x}")]
    Flags {
        /// All the flags.
        flags: u8,
    },
    /// The header does not end within the bytes, or is longer than is read.
    #[error("gzip header does not end within {length} bytes")]
    Unfinished {
        /// The bytes that were looked at.
        length: usize,
    },
}

/// A gzip header: its bytes, and what tells encoders apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipHeader {
    bytes: Vec<u8>,
}

impl GzipHeader {
    /// Reads the header at the beginning of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = &bytes[..bytes.len().min(MAX_HEADER)];
        let unfinished = HeaderError::Unfinished { length: bytes.len() };
        let fixed: &[u8; 10] = bytes.first_chunk().ok_or(unfinished)?;
        let [a, b, method, flags, ..] = *fixed;
        if [a, b, method] != [0x1f, 0x8b, 8] {
            return Err(HeaderError::Magic { found: [a, b, method] });
        }
        if flags & 0xe0 != 0 {
            return Err(HeaderError::Flags { flags });
        }
        let mut end = fixed.len();
        if flags & 4 != 0 {
            let length = bytes[end..].first_chunk().ok_or(unfinished)?;
            end += 2 + usize::from(u16::from_le_bytes(*length));
        }
        for flag in [8, 16] {
            if flags & flag != 0 {
                let text = bytes.get(end..).ok_or(unfinished)?;
                end += 1 + text.iter().position(|&byte| byte == 0).ok_or(unfinished)?;
            }
        }
        if flags & 2 != 0 {
            end += 2;
        }
        let bytes = bytes.get(..end).ok_or(unfinished)?.to_vec();
        Ok(Self { bytes })
    }

    /// The header, verbatim.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The time of modification in seconds since 1970; 0 for none.
    pub fn modified(&self) -> u32 {
        u32::from_le_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    /// What the encoder says of its level: 2 for the slowest, 4 for the fastest.
    pub fn extra_flags(&self) -> u8 {
        self.bytes[8]
    }

    /// The operating system: 3 for Unix, 255 for unknown.
    pub fn system(&self) -> u8 {
        self.bytes[9]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 10] = [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 2, 3];

    #[test]
    fn the_header_ends_after_all_of_its_fields() {
        let with = |flags: u8, more: &[u8]| {
            let mut bytes = PLAIN.to_vec();
            bytes[3] = flags;
            bytes.extend_from_slice(more);
            let length = bytes.len();
            bytes.extend_from_slice(b"deflate");
            let header = GzipHeader::parse(&bytes).expect("it is a header");
            assert_eq!(header.bytes(), &bytes[..length]);
            header
        };
        let header = with(0, b"");
        assert_eq!((header.modified(), header.extra_flags(), header.system()), (0x0403_0201, 2, 3));
        with(4, b"\x03\x00abc");
        with(8, b"name\0");
        with(16, b"comment\0");
        with(2, b"xx");
        with(30, b"\x01\x00aname\0comment\0xx");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(GzipHeader::parse(&PLAIN[..9]), Err(HeaderError::Unfinished { length: 9 }));
        let with = |at: usize, byte: u8| {
            let mut bytes = PLAIN;
            bytes[at] = byte;
            GzipHeader::parse(&bytes).expect_err("it is not a header")
        };
        assert_eq!(with(0, 0), HeaderError::Magic { found: [0, 0x8b, 8] });
        assert_eq!(with(2, 7), HeaderError::Magic { found: [0x1f, 0x8b, 7] });
        assert_eq!(with(3, 0x20), HeaderError::Flags { flags: 0x20 });
        for flag in [2, 4, 8, 16] {
            assert_eq!(with(3, flag), HeaderError::Unfinished { length: 10 });
        }
    }

    #[test]
    fn a_header_longer_than_is_kept_is_refused() {
        let mut bytes = PLAIN.to_vec();
        bytes[3] = 8;
        bytes.resize(MAX_HEADER + 10, b'n');
        bytes.push(0);
        assert_eq!(GzipHeader::parse(&bytes), Err(HeaderError::Unfinished { length: MAX_HEADER }));
    }
}
