//! What a tar header says, read without trust, and what is wrong where a header is not the planned one.

use super::{
    Error,
    header::{BLOCK, BLOCK_LEN},
};
use crate::oci::text::is_unsafe;

/// A header block, its numbers read strictly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) size: u64,
}

/// Byte positions of the fields of a ustar header (POSIX.1-1988).
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..263;
const PREFIX: std::ops::Range<usize> = 345..500;

/// What [`Header::read`] can find wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Checksum,
    Size,
}

impl HeaderFault {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Checksum => "the checksum of the header is wrong",
            Self::Size => "the size in the header is not a number that a file can have",
        }
    }
}

impl Header {
    /// Reads a block of 512 bytes.
    pub(crate) fn read(block: &[u8]) -> Result<Self, HeaderFault> {
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { byte }))
            .sum();
        if number(&block[CHECKSUM]) != Some(sum) {
            return Err(HeaderFault::Checksum);
        }
        let size = number(&block[SIZE]).filter(|&size| i64::try_from(size).is_ok()).ok_or(HeaderFault::Size)?;
        let mut name = until_zero(&block[NAME]).to_vec();
        // GNU's own headers keep other things where ustar keeps the prefix.
        if &block[MAGIC] == b"ustar\0" && block[PREFIX.start] != 0 {
            name = [until_zero(&block[PREFIX]), b"/", &name].concat();
        }
        Ok(Self { name, kind: block[KIND], size })
    }
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

/// Octal digits between optional spaces and zeros, or GNU's base-256; `None` for anything else, and for what no u64 holds.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        return high.iter().all(|&byte| byte == 0).then(|| low.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    }
    let digits = until_zero(field).trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    digits.iter().try_fold(0_u64, |sum, &digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// A name as it is shown: what is not text is replaced, and it is cut.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().filter(|c| !is_unsafe(*c)).take(160).collect()
}

/// What a type flag stands for, where it is not a regular file.
pub(crate) const fn kind_name(kind: u8) -> &'static str {
    match kind {
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' => "a character device",
        b'4' => "a block device",
        b'5' => "a folder",
        b'6' => "a named pipe",
        b'7' => "a contiguous file",
        b'S' => "a sparse file",
        b'L' => "a GNU long name",
        b'K' => "a GNU long link",
        b'M' => "a part of a file of many volumes",
        b'V' => "a volume label",
        b'x' => "a PAX header",
        b'g' => "a global PAX header",
        _ => "of an unknown type",
    }
}

/// What is wrong where the bytes at `offset` should be `expected`, the header of `entry` of `size` bytes, and are not.
pub(crate) fn header_differs(actual: &[u8], expected: &[u8], offset: u64, entry: &str, size: u64) -> Error {
    let structure = |reason: String| Error::Structure { offset, entry: entry.to_owned(), reason };
    let first = actual.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(0) as u64;
    let block = usize::try_from(first / BLOCK * BLOCK).unwrap_or(0);
    let block = &actual[block..block + BLOCK_LEN];
    if block.iter().all(|&byte| byte == 0) {
        return structure("there is no header".to_owned());
    }
    let wanted = expected.get(expected.len() - BLOCK_LEN..).and_then(|block| Header::read(block).ok());
    match (Header::read(block), wanted) {
        (Err(fault), _) => structure(fault.reason().to_owned()),
        (Ok(found), Some(wanted)) if found.kind != wanted.kind && actual.len() == BLOCK_LEN => {
            Error::Entry { offset, entry: shown(&found.name), reason: format!("it is {}", kind_name(found.kind)) }
        }
        (Ok(found), Some(wanted)) if found.name != wanted.name && actual.len() == BLOCK_LEN => {
            Error::Foreign { offset, entry: shown(&found.name) }
        }
        (Ok(found), Some(_)) if found.size != size && actual.len() == BLOCK_LEN => {
            structure(format!("its header says {} bytes where {size} are planned", found.size))
        }
        _ => structure(format!("its header is not the planned one from byte {} on", offset + first)),
    }
}
