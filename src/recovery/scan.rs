//! Reading a file once, from its beginning to its end: its digest, and the checksum of each of its blocks.

use std::thread;

use super::{
    space::{Handle, ProtectedRange, read_or_zeros},
    table::{BlockChecksum, check},
};
use crate::oci::{Algorithm, Digest, Hasher};

/// Bytes read at a time, at the least.
const CHUNK: u64 = 4 << 20;

/// What was found in a file.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    /// SHA-256 of the bytes of the piece; `None` where some cannot be read.
    pub(super) digest: Option<Digest>,
    /// The checksum of each block; `None` where it cannot be read.
    pub(super) checks: Vec<Option<BlockChecksum>>,
}

/// Reads `piece` of `handle`. What cannot be read is not an error here: it is damage. `each` gets the number of bytes read.
pub(super) fn scan(handle: &Handle, piece: &ProtectedRange, block: u64, mut each: impl FnMut(u64)) -> Scanned {
    let chunk = (CHUNK / block).max(1) * block;
    let mut buffer = vec![0; usize::try_from(chunk).expect("a block is below its limit")];
    let mut hasher = Some(Hasher::new(Algorithm::Sha256));
    let mut checks = Vec::with_capacity(usize::try_from(piece.blocks).unwrap_or(0));
    let size = usize::try_from(block).expect("a block is below its limit");
    let mut done = 0;
    while done < piece.length {
        let real = (piece.length - done).min(chunk);
        let length = usize::try_from(real).expect("a chunk fits into memory");
        let padded = length.next_multiple_of(size);
        buffer[length..padded].fill(0);
        let lost = fill(handle, &mut buffer[..length], piece.offset + done, size);
        if !lost.is_empty() {
            hasher = None;
        }
        let first = checks.len();
        thread::scope(|scope| {
            let hashing = hasher.as_mut().map(|hasher| {
                let bytes = &buffer[..length];
                scope.spawn(move || hasher.update(bytes))
            });
            checks.extend(buffer[..padded].chunks(size).map(|block| Some(check(block))));
            // Its panic, if it has one, is ours.
            drop(hashing);
        });
        for block in lost {
            checks[first + block] = None;
        }
        done += real;
        each(real);
    }
    Scanned { digest: hasher.map(Hasher::finish), checks }
}

/// Reads into `buffer`, block by block where it cannot be read at once. Returns the blocks that cannot be read at all.
fn fill(handle: &Handle, buffer: &mut [u8], offset: u64, block: usize) -> Vec<usize> {
    if read_or_zeros(&handle.file, buffer, offset).is_ok() {
        return Vec::new();
    }
    let mut lost = Vec::new();
    for (number, part) in buffer.chunks_mut(block).enumerate() {
        if let Err(error) = read_or_zeros(&handle.file, part, offset + (number * block) as u64) {
            tracing::debug!(path = %handle.path.display(), offset = offset + (number * block) as u64, %error, "unreadable");
            part.fill(0);
            lost.push(number);
        }
    }
    lost
}
