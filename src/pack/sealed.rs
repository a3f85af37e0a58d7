//! A packed file checked without what it was packed against: by the seal of its head and the digest of each frame.

use std::{path::PathBuf, sync::Arc};

use super::{
    Error, Result,
    head::{FRONT, PackHead, SEAL},
};
use crate::{
    bundle::random_access::RandomAccess,
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
    let (path, length) = (PathBuf::from(from.name()), from.size());
    let file = RandomAccess::remote(from);
    off_reactor(move || {
        let read = |offset, size| file.read_up_to(offset, size).map_err(Error::read(&path));
        let json = PackHead::json_length(&read(0, FRONT as u64)?, &path)?;
        let mut at = (FRONT + json + SEAL) as u64;
        let head = PackHead::parse(&read(0, at)?, &path)?;
        for frame in head.contents.iter().flat_map(|content| &content.frames) {
            let (start, end) = (at, at.saturating_add(frame.size));
            let mut hasher = Hasher::new(Algorithm::Sha256);
            while at < end {
                let bytes = read(at, STEP.min(end - at))?;
                if bytes.is_empty() {
                    return Err(Error::Length { path: path.clone(), found: length, expected: end });
                }
                hasher.update(&bytes);
                at += bytes.len() as u64;
            }
            if hasher.finish() != frame.digest {
                let reason = "a frame does not have its digest".to_owned();
                return Err(Error::Damaged { path: path.clone(), offset: start, reason });
            }
        }
        if at == length { Ok(head.bundle.id) } else { Err(Error::Length { path, found: length, expected: at }) }
    })
    .await
}
