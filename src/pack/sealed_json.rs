//! The beginning of our files: eight bytes that say what it is, a version, canonical JSON and the SHA-256 of all that.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Error, Result};

/// Bytes before the JSON: what it is, the version, the length.
pub(super) const FRONT: usize = 16;

/// Bytes of the seal after the JSON.
pub(super) const SEAL: usize = 32;

/// One kind of such a beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedJson {
    /// The first bytes.
    pub(super) magic: &'static [u8; 8],
    /// What messages call such a file.
    pub(super) what: &'static str,
    /// The version that this program writes and reads.
    pub(super) version: u32,
    /// The longest JSON that is read.
    pub(super) most: usize,
    /// What every such JSON begins with.
    pub(super) beginning: &'static [u8],
}

impl SealedJson {
    /// Bytes of all that if the JSON has `json`.
    pub(super) const fn length(json: usize) -> usize {
        FRONT + json + SEAL
    }

    /// Bytes that [`SealedJson::begins`] looks at.
    pub(super) const fn look(&self) -> u64 {
        (FRONT + self.beginning.len()) as u64
    }

    /// Whether a file that begins with `begin` was written as one of these, perhaps damaged since: no single damage makes it
    /// pass for another tool's.
    pub(super) fn begins(&self, begin: &[u8]) -> bool {
        let json = begin.get(FRONT..).is_some_and(|json| json.starts_with(self.beginning));
        json || (!begin.is_empty() && self.magic.starts_with(&begin[..begin.len().min(self.magic.len())]))
    }

    /// All of it around `json`.
    pub(super) fn write(&self, json: &[u8]) -> Vec<u8> {
        let length = u32::try_from(json.len()).expect("a head that was checked is below its limit");
        let mut bytes = Vec::with_capacity(Self::length(json.len()));
        bytes.extend_from_slice(self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(json);
        let seal = Sha256::digest(&bytes);
        bytes.extend_from_slice(&seal);
        bytes
    }

    /// The length of the JSON by the first bytes of a file.
    pub(super) fn json_length(&self, front: &[u8], path: &Path) -> Result<usize> {
        let front: &[u8; FRONT] = front.first_chunk().ok_or_else(|| damaged(path, "it ends within its head"))?;
        if !front.starts_with(self.magic) {
            let reason = format!("it does not begin as {} does", self.what);
            return Err(damaged(path, &reason));
        }
        let length = u32::from_le_bytes([front[12], front[13], front[14], front[15]]) as usize;
        if length > self.most {
            return Err(damaged(path, "its head would be longer than any is"));
        }
        Ok(length)
    }

    /// The JSON at the beginning of `bytes`, whose seal and version are as they must be.
    pub(super) fn json<'b>(&self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        let length = self.json_length(bytes, path)?;
        let ends = || damaged(path, "it ends within its head");
        let sealed = bytes.get(..FRONT + length).ok_or_else(ends)?;
        let seal = bytes.get(FRONT + length..Self::length(length)).ok_or_else(ends)?;
        if seal != &Sha256::digest(sealed)[..] {
            return Err(damaged(path, "the seal of its head is another"));
        }
        let found = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if found != self.version {
            return Err(Error::Version { path: path.to_owned(), found });
        }
        Ok(&sealed[FRONT..])
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Damaged { path: path.to_owned(), offset: 0, reason: reason.to_owned() }
}
