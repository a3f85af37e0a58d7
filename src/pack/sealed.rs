//! A packed file checked without what it was packed against: by the seal of its head and the digest of each frame.

use std::sync::Arc;

use super::{Error, Result, head::PackHead, medium::Medium};
use crate::{
    content::ReadAt,
    files::blocking::off_reactor,
    oci::{Algorithm, Digest, Hasher},
};

/// Bytes that are read at once.
const STEP: u64 = 1 << 20;

/// Reads all of a packed file, and holds each byte against its head. Gives the id of the bundle that the head names.
///
/// # Errors
/// It is damaged, cut or of a later format.
pub(crate) async fn check_sealed(from: Arc<dyn ReadAt>) -> Result<Digest> {
    let file = Medium::remote(from);
    off_reactor(move || {
        let (head, mut at) = PackHead::read(&file)?;
        for frame in head.contents.iter().flat_map(|content| &content.frames) {
            let (start, end) = (at, at.saturating_add(frame.size));
            if digest_of(&file, start, end)? != frame.digest {
                let reason = "a frame does not have its digest".to_owned();
                return Err(Error::Damaged { path: file.path(), offset: start, reason });
            }
            at = end;
        }
        let (path, found) = (file.path(), file.length());
        if at == found { Ok(head.bundle.id) } else { Err(Error::Length { path, found, expected: at }) }
    })
    .await
}

/// The SHA-256 of the bytes from `at` to `end`. Blocks.
pub(super) fn digest_of(file: &Medium, mut at: u64, end: u64) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while at < end {
        let bytes = file.read_up_to(at, STEP.min(end - at)).map_err(Error::read(&file.path()))?;
        if bytes.is_empty() {
            return Err(Error::Length { path: file.path(), found: file.length(), expected: end });
        }
        hasher.update(&bytes);
        at += bytes.len() as u64;
    }
    Ok(hasher.finish())
}
