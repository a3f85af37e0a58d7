//! A stretch of a file that is written from its beginning to its end, which is how a blob gets into a bundle.

use std::{fs::File, io};

use bytes::Bytes;

use super::disk;

/// Bytes after which the system is asked to bring them to the disk. Left to itself it waits for the sync at the end, and so
/// does everybody: a third of an export's time where the disk takes 2 GB/s.
const WRITEBACK: u64 = 8 << 20;

/// Bytes behind the last of those after which they are on the disk, mostly, and may leave the page cache. What was hashed
/// on its way is not read again, so their place is better used for what comes next than fresh memory: that is dear where
/// it must be taken from another file, or, in a virtual machine, from the host. The shorter, the fewer pages go round: 32 MiB
/// took half as long again as 8 MiB in the kernel wherever memory was short, and shorter than 8 gained nothing.
const LAG: u64 = 8 << 20;

/// Where the next byte of a stretch belongs.
#[derive(Debug)]
pub(crate) struct SequentialWrite {
    at: u64,
    /// Everything before it is on its way to the disk.
    settled: u64,
    /// Everything before it has left the page cache, as far as it was on the disk.
    left: u64,
}

impl SequentialWrite {
    /// One that begins at `at` of the file.
    pub(crate) const fn new(at: u64) -> Self {
        Self { at, settled: at, left: at }
    }

    /// Writes what comes next.
    pub(crate) fn write(&mut self, file: &File, chunks: &[Bytes]) -> io::Result<()> {
        disk::write_at(file, chunks, self.at)?;
        self.at += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        if self.at - self.settled >= WRITEBACK {
            disk::begin_writeback(file, self.settled, self.at - self.settled);
            self.settled = self.at;
            let gone = self.settled.saturating_sub(LAG).max(self.left);
            disk::leave_cache(file, self.left, gone - self.left);
            self.left = gone;
        }
        Ok(())
    }
}
