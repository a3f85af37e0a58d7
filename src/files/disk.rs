//! Files by position: whole batches written, ranges hashed and moved, room asked for. Every call blocks.

use std::{
    fs::File,
    io::{self, IoSlice},
    num::NonZeroU64,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    fs::{Advice, FallocateFlags},
};

use crate::oci::{Algorithm, Hasher};

/// Bytes of a block in which a file's allocation is counted (POSIX leaves it open; Linux says 512 for every file system).
const ALLOCATION_UNIT: u64 = 512;

/// Bytes read or moved at a time: large enough that system calls do not count, small enough for the processor's cache.
pub(crate) const CHUNK: usize = 1 << 20;

/// Writes all of `chunks`, one after the other, from `offset` on.
pub(crate) fn write_at(file: &File, chunks: &[Bytes], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::pwritev(file, rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Exactly `size` bytes from `offset` on, read into memory that nothing was written to before.
pub(crate) fn read_at(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let at = offset + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// Up to `size` bytes at `offset`, fewer where the file ends.
pub(crate) fn read_up_to(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Hashes `size` bytes from `offset` on; `each` gets every chunk's length. `None` where the file ends before.
pub(crate) fn hash_at(
    file: &File,
    algorithm: Algorithm,
    offset: u64,
    size: u64,
    buffer: &mut Vec<u8>,
    each: impl FnMut(u64),
) -> io::Result<Option<Hasher>> {
    let mut hasher = Hasher::new(algorithm);
    Ok(update_at(&mut hasher, file, offset, size, buffer, each)?.then_some(hasher))
}

/// Takes `size` bytes from `offset` on into `hasher`; `false` where the file ends before.
pub(crate) fn update_at(
    hasher: &mut Hasher,
    file: &File,
    offset: u64,
    size: u64,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(u64),
) -> io::Result<bool> {
    if buffer.len() < CHUNK {
        // Zeroed pages of the system, of which a small blob touches few.
        *buffer = vec![0; CHUNK];
    }
    let mut done = 0;
    while done < size {
        let want = usize::try_from(size - done).unwrap_or(CHUNK).min(CHUNK);
        match file.read_at(&mut buffer[..want], offset + done) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                done += read as u64;
                each(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Copies `size` bytes from one file into another.
pub(crate) fn carry_over(from: &File, mut at: u64, to: &File, mut goal: u64, size: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let end = at + size;
    while at < end {
        let chunk = &mut buffer[..usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK)];
        from.read_exact_at(chunk, at)?;
        to.write_all_at(chunk, goal)?;
        at += chunk.len() as u64;
        goal += chunk.len() as u64;
    }
    Ok(())
}

/// Moves `size` bytes within `file`; the ranges may overlap.
pub(crate) fn move_within(file: &File, from: u64, to: u64, size: u64) -> io::Result<()> {
    let gap = from.abs_diff(to);
    if gap == 0 || size == 0 {
        return Ok(());
    }
    if gap >= size && copy_range(file, from, to, size)? {
        return Ok(());
    }
    // Chunk by chunk, from the end that is overwritten last.
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < size {
        let step = (size - done).min(CHUNK as u64);
        let at = if to < from { done } else { size - done - step };
        let chunk = &mut buffer[..usize::try_from(step).unwrap_or(CHUNK)];
        file.read_exact_at(chunk, from + at)?;
        file.write_all_at(chunk, to + at)?;
        done += step;
    }
    Ok(())
}

/// Lets the kernel copy, which on some file systems moves no data at all. `false` where it cannot.
fn copy_range(file: &File, mut from: u64, mut to: u64, size: u64) -> io::Result<bool> {
    let mut left = size;
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(1 << 30).min(1 << 30);
        match rustix::fs::copy_file_range(file, Some(&mut from), file, Some(&mut to), step) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= copied as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::NOSPC) => return Err(io::ErrorKind::StorageFull.into()),
            // The ranges do not overlap, so starting over by hand is safe.
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// Bytes that may still be written on the file system of `path`.
pub(crate) fn free(path: &Path) -> io::Result<u64> {
    Ok(space(path)?.0)
}

/// Bytes that may still be written on the file system of `path`, and its size.
pub(crate) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(path)?;
    Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}

/// Bytes that `file` occupies on its disk.
pub(crate) fn occupied(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.blocks() * ALLOCATION_UNIT)
}

/// Largest file of FAT32, whose sizes have 32 bits.
const FAT_LIMIT: u64 = (4 << 30) - 1;

/// Bytes that a file in `folder` can have, where something limits them: the file system, or this process.
pub(crate) fn largest_file(folder: &Path) -> io::Result<Option<u64>> {
    let of_process = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    let of_system = of_file_system(rustix::fs::statfs(folder)?.f_type.cast_unsigned());
    Ok(of_process.into_iter().chain(of_system).min())
}

/// Bytes that a file can have on a file system of the type that statfs(2) calls `magic`.
fn of_file_system(magic: u64) -> Option<u64> {
    /// `MSDOS_SUPER_MAGIC`, which FAT32 has too (linux/magic.h).
    const FAT: u64 = 0x4d44;
    (magic == FAT).then_some(FAT_LIMIT)
}

/// Reserves the first `size` bytes, where the file system can; the file is then as long. Writes past the end would each have
/// to wait for all others, to move it.
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Brings all of `file` to the medium and drops it from memory as far as the system allows: what is read next comes from
/// the medium.
pub(crate) fn settle(file: &File) -> io::Result<()> {
    file.sync_all()?;
    // A system that does not drop it costs nothing but certainty.
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    Ok(())
}

/// Asks the system to begin to bring written bytes to the disk, and waits for nothing.
pub(crate) fn begin_writeback(file: &File, offset: u64, size: u64) {
    // Linux answers "not needed" for bytes that are not yet on the disk by bringing them there; the pages stay. A system
    // that does not has all to do in the sync at the end, which is slower and as safe.
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(size), Advice::DontNeed);
}

/// Lets bytes that are on the disk leave the page cache; those that are not yet stay.
pub(crate) fn leave_cache(file: &File, offset: u64, size: u64) {
    // To a size of zero it would be the rest of the file.
    if let Some(size) = NonZeroU64::new(size) {
        // The same advice, which means this where nothing is left to be written.
        let _ = rustix::fs::fadvise(file, offset, Some(size), Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_fat_has_files_of_less_than_four_gib() {
        assert_eq!(of_file_system(0x4d44), Some(4_294_967_295));
        assert_eq!(of_file_system(0xef53), None, "ext4");
    }

    proptest! {
        #[test]
        fn moved_bytes_arrive_whole_however_the_ranges_overlap(
            from in 0_usize..3000, to in 0_usize..3000, size in 0_usize..2000, large in any::<bool>(),
        ) {
            let scale = if large { 1500 } else { 1 };
            let (from, to, size) = (from * scale, to * scale, size * scale);
            let file = tempfile::tempfile().unwrap();
            let content: Vec<u8> = (0..from.max(to) + size).map(|at| (at / 7).to_le_bytes()[0]).collect();
            file.write_all_at(&content, 0).unwrap();
            move_within(&file, from as u64, to as u64, size as u64).unwrap();
            let mut moved = vec![0; size];
            file.read_exact_at(&mut moved, to as u64).unwrap();
            prop_assert!(moved == content[from..from + size]);
        }
    }
}
