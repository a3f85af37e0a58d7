//! The names of parts: objects beside the one that is made of them, which carry their notes.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::super::super::PartCheckpoint;
use crate::oci::Digest;

/// What every name of a part ends in: lists leave them out by it, and a lifecycle rule can remove what was left behind.
const END: &str = ".airlift-part";

/// Digits of a part's number.
const DIGITS: usize = 5;

/// Digits of an identity: more than enough to tell the few uploads to one object apart.
const IDENTITY: usize = 32;

/// Whether an object of this name is a part of another.
pub(in crate::storage::cloud) fn is_part(name: &str) -> bool {
    name.ends_with(END)
}

/// What the names of all parts of the upload of `identity` to `key` begin with.
pub(super) fn folder(key: &str, identity: &Digest) -> String {
    let hex = identity.hex();
    format!("{key}.parts/{}/", &hex[..IDENTITY.min(hex.len())])
}

/// The name of part `number` that was put with `note`.
pub(super) fn name(folder: &str, number: u32, note: PartCheckpoint) -> String {
    format!("{folder}{number:0DIGITS$}-{}{END}", BASE64_URL_SAFE_NO_PAD.encode(note.0))
}

/// The name of what some parts were composed to on the way to the whole.
pub(super) fn composed(folder: &str, level: usize, index: usize) -> String {
    format!("{folder}composed-{level}-{index:0DIGITS$}{END}")
}

/// Which part has this name; `None` of anything else.
pub(super) fn read(folder: &str, name: &str) -> Option<(u32, PartCheckpoint)> {
    let (number, note) = name.strip_prefix(folder)?.strip_suffix(END)?.split_once('-')?;
    let note = BASE64_URL_SAFE_NO_PAD.decode(note).ok()?.try_into().ok()?;
    Some((number.parse().ok()?, PartCheckpoint(note)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::parts::NOTE;

    #[test]
    fn a_name_says_which_part_it_is_and_what_it_came_with() {
        let folder = folder("some folder/b.tar", &Digest::sha256(b"x"));
        for (number, note) in [(0, [0; NOTE]), (10_239, [255; NOTE]), (7, [0b1111_1011; NOTE])] {
            let name = name(&folder, number, PartCheckpoint(note));
            assert_eq!(read(&folder, &name), Some((number, PartCheckpoint(note))));
            assert!(is_part(&name) && name.starts_with("some folder/b.tar.parts/"), "{name}");
        }
        let between = composed(&folder, 1, 3);
        assert!(is_part(&between));
        assert_eq!(read(&folder, &between), None);
        assert_eq!(read(&folder, "some folder/b.tar"), None);
    }
}
