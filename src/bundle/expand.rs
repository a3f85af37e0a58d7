//! Archives with gzip or zstd around them: expanded once into a file without a name, for random access needs one.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::{Error, Result};
use crate::files::{self, disk};

/// How much larger than the compressed file its content may be. Deflate reaches 1032; images seldom reach 10.
const MAX_RATIO: u64 = 256;

/// Bytes that are always allowed, so that the ratio does not bite small archives.
const ALWAYS: u64 = 16 << 20;

/// Bytes that are left free on the file system of temporary files.
const RESERVE: u64 = 256 << 20;

/// A way to compress a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// Told by the first bytes of a file (RFC 1952, RFC 8878).
    pub(crate) fn of(begin: &[u8]) -> Option<Self> {
        match begin {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The content of `file`, which has `length` bytes, in a temporary file that vanishes with its last handle.
pub(crate) fn expand(file: &File, length: u64, compression: Compression, path: &Path) -> Result<File> {
    let folder = std::env::temp_dir();
    let free = disk::free(&folder).map_err(Error::read(&folder))?.saturating_sub(RESERVE);
    let allowed = length.saturating_mul(MAX_RATIO).saturating_add(ALWAYS);
    let limit = allowed.min(free);
    let packed = BufReader::with_capacity(disk::CHUNK, file);
    let mut plain: Box<dyn Read + '_> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(Error::read(path))?),
    };
    let mut out = tempfile::tempfile_in(&folder).map_err(Error::write(&folder))?;
    let mut buffer = vec![0; disk::CHUNK];
    let mut expanded = 0;
    loop {
        let read = match plain.read(&mut buffer) {
            Ok(0) => return Ok(out),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let entry = "the compressed archive".to_owned();
                return Err(Error::Truncated { length, expected: length + 1, entry });
            }
            Err(error) => {
                let entry = "the compressed archive".to_owned();
                return Err(Error::Structure { offset: expanded, entry, reason: error.to_string() });
            }
        };
        expanded += read as u64;
        if expanded > limit && limit < allowed {
            return Err(files::Error::Space { path: folder, needed: expanded, free }.into());
        }
        if expanded > limit {
            return Err(Error::TooLarge { what: format!("the content of {}", path.display()), limit });
        }
        out.write_all(&buffer[..read]).map_err(Error::write(&folder))?;
    }
}
