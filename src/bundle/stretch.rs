//! A stretch of a file that is written from its beginning to its end, which is how a blob gets into a bundle.
//!
//! Past the page cache where the file system is good at it. A bundle's blobs begin anywhere on a tar's 512 bytes, so the
//! edges of a stretch, which share a block with its neighbours, go through the cache, and all between goes past it: no
//! block is written both ways. Elsewhere the cache takes everything, and the system is asked to empty it early.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use bytes::Bytes;

use super::{
    direct::{BLOCK, Direct},
    disk,
};

/// Bytes that are written past the cache at once, while as many are gathered: enough to keep a disk busy, and small enough
/// that the allocator gives the memory of buffers back.
const STAGE: usize = 512 << 10;

/// Bytes in the cache after which the system is asked to bring them to the disk. Left to itself it waits for the sync at
/// the end, and so does everybody: a third of an export's time where the disk takes 2 GB/s.
const WRITEBACK: u64 = 8 << 20;

/// The ways into a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways<'a> {
    /// Through the page cache.
    pub(crate) cached: &'a File,
    /// Past it, where that is good.
    pub(crate) direct: Option<&'a Arc<Direct>>,
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

    fn collect(&mut self, cached: &File, direct: &Arc<Direct>, mut bytes: &[u8]) -> io::Result<()> {
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
                stage.hand_over(direct, self.at)?;
            }
        }
        Ok(())
    }
}

/// Bytes that wait to be written past the cache; the first of them belongs on a block's boundary. While they are gathered,
/// those before them are being written: hashing, which comes between, and the disk need not wait for each other.
#[derive(Debug)]
struct Stage {
    memory: Memory,
    waiting: usize,
    behind: Option<Receiver<(Memory, io::Result<()>)>>,
}

impl Stage {
    fn new() -> Self {
        Self { memory: Memory::new(), waiting: 0, behind: None }
    }

    /// Takes as much of `bytes` as there is room for.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let from = self.waiting;
        let taken = bytes.len().min(STAGE - from);
        self.memory.aligned()[from..from + taken].copy_from_slice(&bytes[..taken]);
        self.waiting += taken;
        taken
    }

    /// Gives a full stage, which ends before `end` of the file, to a thread that writes it.
    fn hand_over(&mut self, direct: &Arc<Direct>, end: u64) -> io::Result<()> {
        let spare = self.settle()?.unwrap_or_else(Memory::new);
        let mut full = std::mem::replace(&mut self.memory, spare);
        let from = end - std::mem::take(&mut self.waiting) as u64;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return direct.write(full.aligned(), from);
        };
        let (tell, told) = sync_channel(1);
        let direct = Arc::clone(direct);
        runtime.spawn_blocking(move || {
            let outcome = direct.write(full.aligned(), from);
            // Nobody listens where the blob was given up.
            let _ = tell.send((full, outcome));
        });
        self.behind = Some(told);
        Ok(())
    }

    /// Waits for what is being written, and gives its memory back.
    fn settle(&mut self) -> io::Result<Option<Memory>> {
        let Some(told) = self.behind.take() else { return Ok(None) };
        // Only a runtime that shuts down drops such a task.
        let (memory, outcome) = told.recv().map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        outcome.map(|()| Some(memory))
    }

    /// Writes what waits, which ends before `end` of the file: whole blocks past the cache, the rest through it.
    fn empty(&mut self, cached: &File, direct: &Direct, end: u64) -> io::Result<()> {
        self.settle()?;
        let waiting = std::mem::take(&mut self.waiting);
        let from = end - waiting as u64;
        let (blocks, edge) = self.memory.aligned()[..waiting].split_at(waiting - waiting % BLOCK);
        direct.write(blocks, from)?;
        cached.write_all_at(edge, from + blocks.len() as u64)
    }
}

impl Drop for Stage {
    /// Nobody may write here, or move what is here, while a thread still does.
    fn drop(&mut self) {
        // Whoever drops a stage before it was flushed has given the blob up.
        let _ = self.settle();
    }
}

/// [`STAGE`] bytes on a block's boundary.
#[derive(Debug)]
struct Memory(Vec<u8>);

impl Memory {
    fn new() -> Self {
        Self(vec![0; STAGE + BLOCK])
    }

    /// The part on the boundary. The memory is never grown, for then it would move.
    fn aligned(&mut self) -> &mut [u8] {
        let from = self.0.as_ptr().align_offset(BLOCK);
        &mut self.0[from..from + STAGE]
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
            behind in any::<bool>(),
        ) {
            let program = std::env::current_exe().unwrap();
            let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, vec![0xAA; usize::try_from(at).unwrap() + size + 3 * BLOCK]).unwrap();
            let cached = File::options().read(true).write(true).open(&path).unwrap();
            let direct = Direct::open(&cached, &path).filter(|_| with_direct).map(Arc::new);
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let _behind = behind.then(|| runtime.enter());
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
