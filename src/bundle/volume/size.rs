//! How large a volume may be, as it is written on the command line.

use std::{fmt, str::FromStr};

/// Largest file of FAT32: its sizes have 32 bits.
const FAT32: u64 = (4 << 30) - 1;

/// Bytes of each disc that stay free for the file system, the set's manifest and the sums.
const DISC_RESERVE: u64 = 32 << 20;

/// DVD+R, the smaller of the two kinds (DVD-R has 4,707,319,808): 2,295,104 sectors of 2,048 bytes.
const DVD: u64 = 4_700_372_992 - DISC_RESERVE;

/// DVD-R DL, the smaller of the two kinds (DVD+R DL has 8,547,991,552): 4,171,712 sectors of 2,048 bytes.
const DVD_DL: u64 = 8_543_666_176 - DISC_RESERVE;

/// BD-R with the spare areas that burners set aside by default: 11,826,176 sectors of 2,048 bytes.
const BD: u64 = 24_220_008_448 - DISC_RESERVE;

/// BD-R DL likewise: 23,652,352 sectors of 2,048 bytes.
const BD_DL: u64 = 48_440_016_896 - DISC_RESERVE;

/// Names of sizes, and their bytes.
const NAMES: [(&str, u64); 5] = [("fat32", FAT32), ("dvd", DVD), ("dvd-dl", DVD_DL), ("bd", BD), ("bd-dl", BD_DL)];

/// Bytes that a volume may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is not a size of a volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a size of a volume; it is a number of bytes, a number with a unit such as 4GiB or 700MB, or one of fat32, dvd, dvd-dl, bd, bd-dl"
)]
pub struct ParseSizeError(String);

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, bytes)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self(*bytes));
        }
        let size: bytesize::ByteSize = text.parse().map_err(|_| ParseSizeError(text.to_owned()))?;
        if size.as_u64() == 0 { Err(ParseSizeError(text.to_owned())) } else { Ok(Self(size.as_u64())) }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_or_numbers_with_units() {
        let bytes = |text: &str| text.parse::<Size>().unwrap().0;
        assert_eq!(bytes("fat32"), 4_294_967_295);
        assert_eq!(bytes("4GiB"), 4 << 30);
        assert_eq!(bytes("700MB"), 700_000_000);
        assert_eq!(bytes("1048576"), 1 << 20);
        assert!(bytes("dvd") < 4_700_372_992 && bytes("dvd-dl") < 8_543_666_176);
        assert!(bytes("bd") < 25_025_314_816 && bytes("bd-dl") < 50_050_629_632);
        for bad in ["", "0", "-1", "cd", "4 parsecs"] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
    }
}
