//! Writing past the page cache. An export's bytes are hashed before they are written and not read again, so a copy of
//! them in the cache is work for nothing: of an export's time on two cores it was the largest single part.
//!
//! The system takes such a write only whole blocks at a time, from memory and to offsets on a block's boundary
//! ([`super::stretch`] sees to that).

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{FsWord, OFlags},
    io::Errno,
};

use super::partial::NO_LINK;

/// Bytes of a block: the size of a page, and no disk has larger sectors.
pub(crate) const BLOCK: usize = 4096;

/// File systems that keep their promise of direct writes and were measured: ext2 to ext4, XFS (`linux/magic.h`). Others
/// have slow media under them (FAT), or a cache that is their point (network, memory).
const KNOWN: [FsWord; 2] = [0xEF53, 0x5846_5342];

/// The way into a file past the cache, where there is one.
#[derive(Debug)]
pub(crate) struct Direct {
    file: File,
    /// The same file through the cache.
    cached: File,
    /// Whether the system has refused a write that kept to the rules as we know them.
    refused: AtomicBool,
}

impl Direct {
    /// A second way into `file`, which `path` names. `None` where the file system is not known to be good at it.
    pub(crate) fn open(file: &File, path: &Path) -> Option<Self> {
        if !KNOWN.contains(&rustix::fs::fstatfs(file).ok()?.f_type) {
            return None;
        }
        let flags = NO_LINK | OFlags::DIRECT.bits().cast_signed();
        let cached = file.try_clone().ok()?;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(Self { file, cached, refused: AtomicBool::new(false) })
    }

    /// Writes whole blocks past the cache, or through it where that is refused.
    pub(crate) fn write(&self, mut blocks: &[u8], mut at: u64) -> io::Result<()> {
        while !blocks.is_empty() && !self.refused.load(Ordering::Relaxed) {
            match rustix::io::pwrite(&self.file, blocks, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    blocks = &blocks[written..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::INVAL | Errno::OPNOTSUPP) => self.refused.store(true, Ordering::Relaxed),
                Err(error) => return Err(error.into()),
            }
        }
        self.cached.write_all_at(blocks, at)
    }
}
