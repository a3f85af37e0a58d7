//! Reading files whole, in bounded memory, and saying what they are.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
    time::SystemTime,
};

use super::error::Error;

/// Largest file that is read, in bytes.
pub(super) const MAX_FILE: u64 = 64 << 20;

/// How much of a file shows whether it is text.
const SAMPLE: usize = 8 << 10;

/// Reads a file whole. A file that changed meanwhile is read once more.
pub(super) fn whole(path: &Path) -> Result<Vec<u8>, Error> {
    whole_with(path, || {})
}

/// As [`whole`]; calls `meanwhile` between reading a file and looking whether it is still the same.
fn whole_with(path: &Path, mut meanwhile: impl FnMut()) -> Result<Vec<u8>, Error> {
    let failed = |source: io::Error| Error::Read { path: path.to_owned(), source };
    for _ in 0..2 {
        let mut file = File::open(path).map_err(failed)?;
        let before = file.metadata().map_err(failed)?;
        let mut bytes = Vec::new();
        file.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Error::TooLarge { path: path.to_owned(), limit: MAX_FILE });
        }
        meanwhile();
        // A pipe has no size, and can be read only once.
        let is_same = || Ok(stamp(&fs::metadata(path)?) == stamp(&before) && before.len() == bytes.len() as u64);
        if !before.is_file() || is_same().map_err(failed)? {
            return Ok(bytes);
        }
    }
    Err(Error::Changing { path: path.to_owned() })
}

/// Size and time of the last change.
fn stamp(metadata: &Metadata) -> (u64, Option<SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}

/// The text of `bytes`: UTF-8, or UTF-16 with a byte order mark. `None` where it is none.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let is_little = bytes[0] == 0xff;
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        return String::from_utf16(&bytes[2..].chunks_exact(2).map(unit).collect::<Vec<_>>()).ok();
    }
    if bytes[..bytes.len().min(SAMPLE)].contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again_and_given_up_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "one").unwrap();
        let mut changes = 0;
        let mut change = |most: usize| {
            changes += 1;
            if changes <= most {
                fs::write(&path, "more".repeat(changes)).unwrap();
            }
        };
        assert_eq!(whole_with(&path, || change(1)).unwrap(), b"more");
        changes = 0;
        let mut change = || {
            changes += 1;
            fs::write(&path, "less".repeat(changes)).unwrap();
        };
        assert!(matches!(whole_with(&path, &mut change), Err(Error::Changing { .. })));
    }

    #[test]
    fn text_is_utf_8_or_marked_utf_16() {
        assert_eq!(text(b"a: \xc3\xa9".to_vec()).as_deref(), Some("a: é"));
        assert_eq!(text(vec![0xff, 0xfe, b'a', 0, b'b', 0]).as_deref(), Some("ab"));
        assert_eq!(text(vec![0xfe, 0xff, 0, b'a']).as_deref(), Some("a"));
        assert_eq!(text(b"\x7fELF\0\0".to_vec()), None);
        assert_eq!(text(vec![b'a', 0xff]), None);
    }
}
