//! The hashes' states that go with a part, by which a later run goes on in the middle of a blob.

use md5::{
    Md5,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::flow::Piece;
use crate::{
    oci::{Algorithm, Hasher, hasher::STATE},
    storage::Note,
};

/// The MD5 state that had taken in `taken` bytes, a multiple of 64.
fn md5_at(state: [u8; 16], taken: u64) -> Option<Md5> {
    let mut serialized = SerializedState::<Md5>::default();
    serialized[..16].copy_from_slice(&state);
    serialized[16..24].copy_from_slice(&(taken / 64).to_le_bytes());
    Md5::deserialize(&serialized).ok()
}

pub(super) fn md5_state(md5: &Md5) -> [u8; 16] {
    let mut state = [0; 16];
    state.copy_from_slice(&md5.serialize()[..16]);
    state
}

/// The hashes at `position`, where the part ends that has `note`: over the whole, and over the content that goes on there.
pub(super) fn at(note: Note, position: u64, pieces: &[Piece]) -> Option<(Md5, Option<Hasher>)> {
    let (sha, md5) = note.0.split_at(STATE);
    let md5 = md5_at(md5.try_into().ok()?, position)?;
    let goes_on =
        |piece: &&Piece| piece.content().is_some_and(|content| content.offset < position && position < content.end());
    let Some(content) = pieces.iter().find(goes_on).and_then(Piece::content) else { return Some((md5, None)) };
    // A note has no room for the state of a SHA-512.
    let fits = content.digest.is_none_or(|digest| digest.algorithm() == Algorithm::Sha256);
    let hasher = fits.then(|| Hasher::resume(sha.try_into().ok()?, position - content.offset)).flatten()?;
    Some((md5, Some(hasher)))
}
