//! The tar headers that a bundle has: ustar, with GNU's base-256 sizes and long names where ustar has no room.

use tar::{EntryType, Header};

use crate::oci::Digest;

/// Bytes of a tar block (POSIX.1-1988, "ustar").
pub const BLOCK: u64 = 512;

/// The same, as a length in memory.
pub(crate) const BLOCK_LEN: usize = 512;

/// Bytes of the two zero blocks that end a tar.
pub const END: u64 = 2 * BLOCK;

/// Bytes of the `name` field.
const NAME: usize = 100;

/// Readable by all, written by none: content is never changed in place.
const MODE: u32 = 0o444;

/// What GNU tar calls the entry that carries a long name.
const LONG_NAME: &str = "././@LongLink";

/// The name of the entry that holds `digest` (image-spec 1.1, *image-layout.md*, "Blobs").
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// Zero bytes between `size` bytes of content and the next block.
pub const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// Bytes of [`encode`] for an entry called `name`.
pub const fn length(name: &str) -> u64 {
    if name.len() <= NAME {
        BLOCK
    } else {
        let text = name.len() as u64 + 1;
        BLOCK + text + padding(text) + BLOCK
    }
}

/// Everything in front of the content of a regular file: its header, preceded by GNU's `L` entry where `name` has more
/// than 100 bytes (only SHA-512 names do, and they cannot be split into ustar's `prefix` and `name`).
pub fn encode(name: &str, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.len() > NAME {
        let text = name.len() as u64 + 1;
        bytes.extend_from_slice(block(LONG_NAME, text, EntryType::GNULongName).as_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(usize::try_from(BLOCK + text + padding(text)).unwrap_or(usize::MAX), 0);
    }
    bytes.extend_from_slice(block(name, size, EntryType::Regular).as_bytes());
    bytes
}

fn block(name: &str, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        let shown = &name.as_bytes()[..name.len().min(NAME)];
        ustar.name[..shown.len()].copy_from_slice(shown);
    }
    header.set_mode(MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    /// ustar's `size` field holds eleven octal digits.
    const OCTAL_LIMIT: u64 = 8 << 30;

    #[test]
    fn the_length_is_that_of_the_bytes() {
        for digest in [Digest::sha256(b""), Digest::of(Algorithm::Sha512, b"")] {
            let name = blob_name(&digest);
            assert_eq!(encode(&name, 1).len() as u64, length(&name));
        }
        assert_eq!(length("index.json"), BLOCK);
    }

    #[test]
    fn sizes_are_octal_below_8_gib_and_base_256_from_there() {
        let size = |size| encode("x", size)[124..136].to_vec();
        assert_eq!(size(OCTAL_LIMIT - 1), b"77777777777\0");
        assert_eq!(size(OCTAL_LIMIT), [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(padding(OCTAL_LIMIT), 0);
    }

    #[test]
    fn padding_fills_the_block() {
        for (size, zeros) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), zeros);
        }
    }
}
