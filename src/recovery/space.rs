//! Blocks by number, wherever they lie: the bytes of several files laid end to end, each from a block of its own on.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use super::{Error, Result};

/// A file that is read or written by position.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
}

/// The part of a file that has blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtectedRange {
    /// Its first block.
    pub(super) first: u64,
    /// Its blocks.
    pub(super) blocks: u64,
    /// Where in the file the first begins.
    pub(super) offset: u64,
    /// Its bytes; what is missing at the end of the last block counts as zeros.
    pub(super) length: u64,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockLocation {
    pub(super) piece: usize,
    pub(super) offset: u64,
    /// Its bytes in the file.
    pub(super) length: u64,
}

/// Which block lies where.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) block: u64,
    pub(super) pieces: Vec<ProtectedRange>,
}

impl Space {
    /// Of pieces of so many bytes, each at its offset in its file.
    pub(super) fn new(block: u64, parts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut first = 0;
        let pieces = parts.into_iter().map(|(offset, length)| {
            let piece = ProtectedRange { first, blocks: length.div_ceil(block), offset, length };
            first += piece.blocks;
            piece
        });
        Self { block, pieces: pieces.collect() }
    }

    pub(super) fn blocks(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.first + piece.blocks)
    }

    /// `None` behind the last block.
    pub(super) fn place(&self, block: u64) -> Option<BlockLocation> {
        let piece = self.pieces.partition_point(|piece| piece.first + piece.blocks <= block);
        let found = self.pieces.get(piece)?;
        let within = (block - found.first) * self.block;
        Some(BlockLocation { piece, offset: found.offset + within, length: (found.length - within).min(self.block) })
    }

    /// The stretches of blocks that `size` bytes from `address` on touch: block, first byte in it, bytes.
    fn stretches(&self, address: u64, size: usize) -> impl Iterator<Item = (u64, u64, usize)> {
        let (block, end) = (self.block, address + size as u64);
        let mut at = address;
        std::iter::from_fn(move || {
            let (number, within) = (at / block, at % block);
            let step = (block - within).min(end - at);
            at += step;
            (step > 0).then(|| (number, within, usize::try_from(step).expect("not more than was asked for")))
        })
    }
}

/// Blocks that can be read: for each piece the files that have it, for each block the one to take it from.
#[derive(Clone, Debug)]
pub(super) struct BlockMap {
    pub(super) space: Space,
    pub(super) files: Vec<Vec<Handle>>,
    /// For each block: 0 where it is lost, else one more than the number of the file.
    pub(super) from: Vec<u8>,
}

impl BlockMap {
    /// All blocks of each piece from its one file.
    pub(super) fn whole(space: Space, files: Vec<Handle>) -> Self {
        let from = vec![1; usize::try_from(space.blocks()).unwrap_or(0)];
        Self { space, files: files.into_iter().map(|file| vec![file]).collect(), from }
    }

    pub(super) fn has(&self, block: u64) -> bool {
        self.source(block) > 0
    }

    fn source(&self, block: u64) -> u8 {
        usize::try_from(block).ok().and_then(|block| self.from.get(block)).copied().unwrap_or(0)
    }

    /// Blocks that are lost.
    pub(super) fn lost(&self) -> impl Iterator<Item = u64> {
        (0_u64..).zip(&self.from).filter(|(_, from)| **from == 0).map(|(block, _)| block)
    }

    /// Fills `buffer` from `address` on, all of it in blocks that are there, or behind the last.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = buffer;
        for (block, within, size) in self.space.stretches(address, rest.len()) {
            let (part, behind) = rest.split_at_mut(size);
            rest = behind;
            let Some(place) = self.space.place(block) else {
                part.fill(0);
                continue;
            };
            let there = usize::try_from(place.length.saturating_sub(within)).unwrap_or(size).min(size);
            part[there..].fill(0);
            let source = usize::from(self.source(block)).checked_sub(1);
            let handle = source.and_then(|source| self.files.get(place.piece)?.get(source));
            let handle = handle.expect("only blocks that are there are read");
            read_or_zeros(&handle.file, &mut part[..there], place.offset + within)
                .map_err(Error::read(&handle.path))?;
        }
        Ok(())
    }
}

/// Fills `buffer`; what lies behind the end of the file are zeros, and the checksums say whether that is right.
pub(super) fn read_or_zeros(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => {
                buffer[done..].fill(0);
                break;
            }
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Files that blocks are written to: none for pieces of which nothing is written.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) space: Space,
    pub(super) files: Vec<Option<Handle>>,
}

impl Bench {
    /// Writes `bytes` from `address` on, to those pieces that are written to; padding is left out.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        for (block, within, size) in self.space.stretches(address, rest.len()) {
            let (part, behind) = rest.split_at(size);
            rest = behind;
            let Some(place) = self.space.place(block) else { continue };
            let Some(Some(handle)) = self.files.get(place.piece) else { continue };
            let there = usize::try_from(place.length.saturating_sub(within)).unwrap_or(size).min(size);
            handle.file.write_all_at(&part[..there], place.offset + within).map_err(Error::write(&handle.path))?;
        }
        Ok(())
    }
}
