//! Frames, coded by zstd with a prefix: bytes that the decoder has already.

use std::path::Path;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name};

use super::{Error, Result};

/// The shortest window for which long-distance matching pays.
const LONG: usize = 4 << 20;

/// The least and the largest window that zstd has, as powers of two.
const WINDOWS: (u32, u32) = (10, 30);

/// Bytes of memory that compressing takes besides the content, its prefix and the result: the tables of the level, rounded up.
pub(super) const fn memory_of(level: i32) -> u64 {
    let mib = match level {
        ..=9 => 32,
        10..=15 => 96,
        16..=19 => 128,
        20 => 192,
        21 => 352,
        _ => 704,
    };
    mib << 20
}

/// Compresses `content` against `prefix`.
pub(super) fn compress(content: &[u8], prefix: &[u8], level: i32, path: &Path) -> Result<Vec<u8>> {
    let failed = |code| Error::Zstd { path: path.to_owned(), reason: get_error_name(code) };
    let reach = (prefix.len() + content.len()).max(1);
    let window = reach.next_power_of_two().trailing_zeros().clamp(WINDOWS.0, WINDOWS.1);
    let mut zstd = CCtx::create();
    zstd.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    zstd.set_parameter(CParameter::WindowLog(window)).map_err(failed)?;
    zstd.set_parameter(CParameter::ChecksumFlag(false)).map_err(failed)?;
    zstd.set_parameter(CParameter::EnableLongDistanceMatching(reach >= LONG)).map_err(failed)?;
    if !prefix.is_empty() {
        zstd.ref_prefix(prefix).map_err(failed)?;
    }
    let mut frame = Vec::with_capacity(compress_bound(content.len()));
    zstd.compress2(&mut frame, content).map_err(failed)?;
    frame.shrink_to_fit();
    Ok(frame)
}

/// Decompresses a frame to exactly `length` bytes. Memory is that of the result: the window is the result itself.
///
/// # Errors
/// The text says what zstd found.
pub(super) fn decompress(frame: &[u8], prefix: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let mut zstd = DCtx::create();
    if !prefix.is_empty() {
        zstd.ref_prefix(prefix).map_err(get_error_name)?;
    }
    let mut content = Vec::with_capacity(length);
    let made = zstd.decompress(&mut content, frame).map_err(get_error_name)?;
    if made == length { Ok(content) } else { Err("it decodes to fewer bytes than the head says") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_its_prefix_makes_it_small() {
        let path = Path::new("x");
        let mut state = 9_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24).to_le_bytes()[0]
        };
        let prefix: Vec<u8> = (0..200_000).map(|_| noise()).collect();
        let content = [&prefix[1000..150_000], b"something else"].concat();
        let alone = compress(&content, &[], 3, path).expect("zstd compresses");
        let against = compress(&content, &prefix, 3, path).expect("zstd compresses");
        assert!(alone.len() > 149_000 && against.len() < 1000, "{} and {}", alone.len(), against.len());
        assert_eq!(decompress(&alone, &[], content.len()).as_deref(), Ok(&content[..]));
        assert_eq!(decompress(&against, &prefix, content.len()).as_deref(), Ok(&content[..]));
        assert!(decompress(&against, &prefix, content.len() + 1).is_err());
        assert!(decompress(&alone, &[], content.len() - 1).is_err());
    }
}
