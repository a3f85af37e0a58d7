//! Files that must stay as they are between the reading that fixes an artifact's digests and the one that moves its bytes.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::error::Error;
use crate::files;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What is known of a file's content without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    /// Bytes.
    pub(super) size: u64,
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
            size: found.size(),
        }
    }

    /// Of the file at `path`, which must be a regular one.
    pub(super) fn at(path: &Path, links: Links) -> Result<Self, Error> {
        open(path, links).map(|(_, stamp)| stamp)
    }
}

/// What a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// The file it leads to: the person named it.
    Followed,
    /// Nothing that is read.
    Refused,
}

/// Opens the regular file at `path`.
fn open(path: &Path, links: Links) -> Result<(File, Stamp), Error> {
    let mut flags = OFlags::NONBLOCK;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(Error::read(path))?;
    let found = file.metadata().map_err(Error::read(path))?;
    if !found.is_file() {
        return Err(Error::Entry { path: path.to_owned(), reason: "it is not a regular file" });
    }
    Ok((file, Stamp::of(&found)))
}

/// Writes the content of the file at `path` to `out`.
///
/// # Errors
/// It is not the file of `stamp` any more, before or after; or `out` fails.
pub(super) fn copy(path: &Path, links: Links, stamp: Stamp, out: &mut impl Write) -> Result<(), Error> {
    let changed = || Error::Changed { path: path.to_owned() };
    let (mut file, found) = match open(path, links) {
        Err(Error::File(files::Error::Read { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            return Err(changed());
        }
        opened => opened?,
    };
    if found != stamp {
        return Err(changed());
    }
    let mut buffer = vec![0; CHUNK];
    let mut rest = stamp.size;
    while rest > 0 {
        let most = usize::try_from(rest).unwrap_or(CHUNK).min(CHUNK);
        let read = match file.read(&mut buffer[..most]) {
            Ok(0) => return Err(changed()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::read(path)(error)),
        };
        out.write_all(&buffer[..read]).map_err(|source| Error::Sent { source })?;
        rest -= read as u64;
    }
    let after = file.metadata().map_err(Error::read(path))?;
    if Stamp::of(&after) == stamp { Ok(()) } else { Err(changed()) }
}
