//! A stretch of a file that is written from its beginning to its end, which is how a blob gets into a bundle.
//!
//! Past the page cache where the file system is good at it. A bundle's blobs begin anywhere on a tar's 512 bytes, so the
//! edges of a stretch, which share a block with its neighbours, go through the cache, and all between goes past it: no
//! block is written both ways. Elsewhere the cache takes everything, and the system is asked to empty it early.

use std::{fs::File, io, os::unix::fs::FileExt};

use bytes::Bytes;

use super::{
    direct::{BLOCK, Direct},
    disk,
};

/// Bytes that are written past the cache at once: enough for a disk with a head to move, small beside the memory of a run.
const STAGE: usize = 2 << 20;

/// Bytes in the cache after which the system is asked to bring them to the disk. Left to itself it waits for the sync at
/// the end, and so does everybody: a third of an export's time where the disk takes 2 GB/s.
const WRITEBACK: u64 = 8 << 20;

/// The ways into a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways<'a> {
    /// Through the page cache.
    pub(crate) cached: &'a File,
    /// Past it, where that is good.
    pub(crate) direct: Option<&'a Direct>,
}

/// Where the next byte of a stretch belongs, and what waits to be written.
#[derive(Debug)]
pub(crate) struct Stretch {
    at: u64,
    /// Everything before it was written, or is on its way to the disk.
    settled: u64,
    stage: Option<Stage>,
}

impl Stretch {
    /// One that begins at `at` of the file and is about `size` bytes long.
    pub(crate) fn new(ways: Ways<'_>, at: u64, size: u64) -> Self {
        let stage = (ways.direct.is_some() && size > STAGE as u64).then(Stage::new);
        Self { at, settled: at, stage }
    }

    /// Takes what comes next. It is in the file once [`Stretch::flush`] was called.
    pub(crate) fn write(&mut self, ways: Ways<'_>, chunks: &[Bytes]) -> io::Result<()> {
        if let (Some(direct), Some(_)) = (ways.direct, &self.stage) {
            return chunks.iter().try_for_each(|chunk| self.collect(ways.cached, direct, chunk));
        }
        disk::write_at(ways.cached, chunks, self.at)?;
        self.at += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        if self.at - self.settled >= WRITEBACK {
            disk::begin_writeback(ways.cached, self.settled, self.at - self.settled);
            self.settled = self.at;
        }
        Ok(())
    }

    /// Brings everything that was taken into the file. More may come after it.
    pub(crate) fn flush(&mut self, ways: Ways<'_>) -> io::Result<()> {
        match (ways.direct, &mut self.stage) {
            (Some(direct), Some(stage)) => stage.empty(ways.cached, direct, self.at),
            _ => Ok(()),
        }
    }

    fn collect(&mut self, cached: &File, direct: &Direct, mut bytes: &[u8]) -> io::Result<()> {
        let Some(stage) = &mut self.stage else { return Ok(()) };
        while !bytes.is_empty() {
            let past = usize::try_from(self.at % BLOCK as u64).unwrap_or(0);
            let taken = if stage.waiting == 0 && past != 0 {
                let edge = bytes.len().min(BLOCK - past);
                cached.write_all_at(&bytes[..edge], self.at)?;
                edge
            } else {
                stage.take(bytes)
            };
            self.at += taken as u64;
            bytes = &bytes[taken..];
            if stage.waiting == STAGE {
                stage.empty(cached, direct, self.at)?;
            }
        }
        Ok(())
    }
}

/// Bytes that wait to be written past the cache; the first of them belongs on a block's boundary.
#[derive(Debug)]
struct Stage {
    /// Only the part on a block's boundary is used; never grown, for then it would move.
    memory: Vec<u8>,
    waiting: usize,
}

impl Stage {
    fn new() -> Self {
        Self { memory: vec![0; STAGE + BLOCK], waiting: 0 }
    }

    fn aligned(&mut self) -> &mut [u8] {
        let from = self.memory.as_ptr().align_offset(BLOCK);
        &mut self.memory[from..from + STAGE]
    }

    /// Takes as much of `bytes` as there is room for.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let from = self.waiting;
        let taken = bytes.len().min(STAGE - from);
        self.aligned()[from..from + taken].copy_from_slice(&bytes[..taken]);
        self.waiting += taken;
        taken
    }

    /// Writes what waits, which ends before `end` of the file: whole blocks past the cache, the rest through it.
    fn empty(&mut self, cached: &File, direct: &Direct, end: u64) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let from = end - waiting as u64;
        let (blocks, edge) = self.aligned()[..waiting].split_at(waiting - waiting % BLOCK);
        direct.write(cached, blocks, from)?;
        cached.write_all_at(edge, from + blocks.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Beside the test's own program, for a folder of temporary files may lie in memory, which has no direct writes.
        #[test]
        fn what_was_taken_is_in_the_file_and_the_neighbours_are_as_they_were(
            at in 0_u64..3 * BLOCK as u64,
            size in 0..5 * STAGE / 2,
            chunk in 1..700_000_usize,
            flush_every in 1_usize..9,
            with_direct in any::<bool>(),
        ) {
            let program = std::env::current_exe().unwrap();
            let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, vec![0xAA; usize::try_from(at).unwrap() + size + 3 * BLOCK]).unwrap();
            let cached = File::options().read(true).write(true).open(&path).unwrap();
            let direct = Direct::open(&cached, &path).filter(|_| with_direct);
            let ways = Ways { cached: &cached, direct: direct.as_ref() };
            let content: Bytes = (0..size).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<_>>().into();

            let mut stretch = Stretch::new(ways, at, size as u64);
            for (count, from) in (0..size).step_by(chunk).enumerate() {
                stretch.write(ways, &[content.slice(from..size.min(from + chunk))]).unwrap();
                if count % flush_every == 0 {
                    stretch.flush(ways).unwrap();
                }
            }
            stretch.flush(ways).unwrap();

            let written = std::fs::read(&path).unwrap();
            let at = usize::try_from(at).unwrap();
            prop_assert!(written[at..at + size] == content[..]);
            prop_assert!(written[..at].iter().chain(&written[at + size..]).all(|&byte| byte == 0xAA));
        }
    }
}
