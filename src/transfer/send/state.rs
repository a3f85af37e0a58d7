//! The hashes' states that go with a part, by which a later run goes on in the middle of a blob.

use super::{flow::FileParts, md5::Md5s};
use crate::{
    oci::{Algorithm, Hasher, hasher::STATE},
    storage::PartCheckpoint,
};

/// The hashes at `position`, where the part ends that has `note`: over the whole, and over the content that goes on there.
pub(super) fn at(note: PartCheckpoint, position: u64, file: &FileParts<'_>) -> Option<(Md5s, Option<Hasher>)> {
    let (sha, md5) = note.0.split_at(STATE);
    let md5 = Md5s::resume(md5.try_into().ok()?, position);
    let mut contents = file.contents();
    let content = contents.find(|content| content.offset < position && position < content.end());
    let Some(content) = content else { return Some((md5, None)) };
    // A note has no room for the state of a SHA-512.
    let fits = content.digest.is_none_or(|digest| digest.algorithm() == Algorithm::Sha256);
    let hasher = fits.then(|| Hasher::resume(sha.try_into().ok()?, position - content.offset)).flatten()?;
    Some((md5, Some(hasher)))
}
