//! What a partial bundle holds already, told beside it: one JSON line for each thing that arrived. Nothing in it is
//! trusted; it only says where to look, and what is found there is hashed again.

use std::{
    fs::File,
    io::{Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::{
    files::{open, rename::remove},
    oci::Digest,
};

/// Largest journal that is read; a line has about 200 bytes.
const LIMIT: u64 = 64 << 20;

/// One thing that happened to the partial file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JournalLine {
    /// A whole blob was written and verified.
    Blob {
        /// Which.
        digest: Digest,
        /// Where its content begins.
        offset: u64,
        /// Its bytes.
        size: u64,
    },
    /// The first bytes of a blob were written.
    Mark {
        /// Of which blob.
        digest: Digest,
        /// Where its content begins.
        offset: u64,
        /// How many bytes of it are there.
        size: u64,
        /// The digest of those.
        prefix: Digest,
    },
    /// All or the first bytes of a blob that is cut over volumes were written.
    Cut {
        /// Of which blob.
        digest: Digest,
        /// Where they lie, in the order of the blob: positions and numbers of bytes.
        places: Vec<(u64, u64)>,
        /// The digest of those bytes: the blob's own, where they are all of it.
        prefix: Digest,
    },
    /// What was written of a blob turned out wrong.
    Drop {
        /// Of which blob.
        digest: Digest,
    },
}

impl JournalLine {
    pub(crate) const fn digest(&self) -> Digest {
        match self {
            Self::Blob { digest, .. }
            | Self::Mark { digest, .. }
            | Self::Cut { digest, .. }
            | Self::Drop { digest } => *digest,
        }
    }

    /// That the bytes at `places`, whose digest is `prefix`, are the first of the blob, or all of it.
    pub(crate) fn of(digest: Digest, places: Vec<(u64, u64)>, prefix: Digest) -> Self {
        match *places {
            [(offset, size)] if prefix == digest => Self::Blob { digest, offset, size },
            [(offset, size)] => Self::Mark { digest, offset, size, prefix },
            _ => Self::Cut { digest, places, prefix },
        }
    }

    /// The places of the bytes that it records, and their digest.
    pub(crate) fn claim(&self) -> Option<(Vec<(u64, u64)>, Digest)> {
        match self {
            Self::Blob { digest, offset, size } => Some((vec![(*offset, *size)], *digest)),
            Self::Mark { offset, size, prefix, .. } => Some((vec![(*offset, *size)], *prefix)),
            Self::Cut { places, prefix, .. } => Some((places.clone(), *prefix)),
            Self::Drop { .. } => None,
        }
    }
}

/// The journal of one run, open for more lines.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal at `path` and reads what is in it. A `fresh` partial file has none: what lies there belongs to
    /// an older one.
    pub(crate) fn open(path: &Path, fresh: bool) -> Result<(Self, Vec<JournalLine>)> {
        let mut file = open::own(path, open::Access::Usual)?;
        if fresh {
            file.set_len(0).map_err(Error::write(path))?;
        }
        let mut text = Vec::new();
        (&mut file).take(LIMIT).read_to_end(&mut text).map_err(Error::read(path))?;
        // More than the limit is not read, and not overwritten.
        file.seek(SeekFrom::End(0)).map_err(Error::write(path))?;
        // A run that was killed may have left half a line; the next one must not be glued to it.
        if text.last().is_some_and(|&last| last != b'\n') {
            file.write_all(b"\n").map_err(Error::write(path))?;
        }
        let lines = text.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok((Self { file, path: path.to_owned() }, lines))
    }

    /// Adds a line, in one write.
    pub(crate) fn add(&self, line: &JournalLine) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("strings and numbers serialise");
        text.push(b'\n');
        (&self.file).write_all(&text).map_err(Error::write(&self.path))
    }

    /// Removes it: what it records is complete.
    pub(crate) fn remove(self) -> Result<()> {
        remove(&self.path).map_err(Error::write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_a_line_is_passed_over_and_spoils_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let line = |content: &[u8]| JournalLine::Drop { digest: Digest::sha256(content) };
        let (journal, none) = Journal::open(&path, true).unwrap();
        assert_eq!(none, []);
        journal.add(&line(b"1")).unwrap();
        fs::write(&path, [&fs::read(&path).unwrap()[..], br#"{"blob":{"dig"#].concat()).unwrap();
        let (journal, lines) = Journal::open(&path, false).unwrap();
        assert_eq!(lines, [line(b"1")]);
        journal.add(&line(b"2")).unwrap();
        assert_eq!(Journal::open(&path, false).unwrap().1, [line(b"1"), line(b"2")]);
        assert_eq!(Journal::open(&path, true).unwrap().1, []);
    }
}
