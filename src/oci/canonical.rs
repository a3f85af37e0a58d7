//! Canonical JSON that is hashed, measured or compared while it is written: of a hundred thousand blobs a copy of it takes tens of MB.

use std::io::{self, Write};

use serde::Serialize;

use super::{
    digest::{Algorithm, Digest},
    hasher::Hasher,
};

/// The SHA-256 of `document` as it is written.
///
/// # Panics
/// Never: strings and numbers can always be written.
pub(crate) fn sha256_of(document: &impl Serialize) -> Digest {
    let mut hashing = HashingWriter(Hasher::new(Algorithm::Sha256));
    serde_json::to_writer(&mut hashing, document).expect("strings and numbers serialise");
    hashing.0.finish()
}

/// Bytes of `document` as it is written.
///
/// # Panics
/// Never: strings and numbers can always be written.
pub(crate) fn length_of(document: &impl Serialize) -> u64 {
    let mut counting = CountingWriter(0);
    serde_json::to_writer(&mut counting, document).expect("strings and numbers serialise");
    counting.0
}

/// Whether `document` is written as `text`.
pub(crate) fn is_written_as(document: &impl Serialize, text: &[u8]) -> bool {
    let mut comparing = ComparingWriter { rest: text };
    serde_json::to_writer(&mut comparing, document).is_ok() && comparing.rest.is_empty()
}

/// Hashes what is written, and keeps nothing.
struct HashingWriter(Hasher);

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written.
struct CountingWriter(u64);

impl Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what is written as long as it is as expected.
struct ComparingWriter<'a> {
    rest: &'a [u8],
}

impl Write for ComparingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_hashed_measured_and_compared_without_a_copy() {
        let document = json!({"a": [1, 2], "b": "é\n"});
        let text = serde_json::to_vec(&document).unwrap();
        assert_eq!(sha256_of(&document), Digest::sha256(&text));
        assert_eq!(length_of(&document), text.len() as u64);
        assert!(is_written_as(&document, &text));
        for other in [&text[1..], &text[..text.len() - 1], &[&text[..], b" "].concat()] {
            assert!(!is_written_as(&document, other));
        }
    }
}
