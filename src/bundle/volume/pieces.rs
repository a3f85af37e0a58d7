//! The pieces of a cut, held once: every layout of a volume, the plan and the manifest of the set have them.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Piece;
use crate::oci::Digest;

/// Pieces in the order of the bundle. Clones share them: of a hundred thousand blobs they take ten MB.
#[derive(Clone, Debug, Default)]
pub struct Pieces(Arc<PieceList>);

#[derive(Debug, Default)]
struct PieceList {
    pieces: Vec<Piece>,
    /// Where the pieces of each blob begin, sorted by its digest; made when it is first asked for.
    by_digest: OnceLock<Vec<u32>>,
}

impl Pieces {
    /// The pieces of `blob`, which follow each other; none of a blob that is not there.
    pub(crate) fn of(&self, blob: &Digest) -> &[Piece] {
        let pieces = &self.0.pieces;
        let by_digest = self.0.by_digest.get_or_init(|| {
            let is_first = |&(at, piece): &(u32, &Piece)| at == 0 || pieces[at as usize - 1].digest != piece.digest;
            let mut firsts: Vec<u32> = (0..).zip(pieces).filter(is_first).map(|(at, _)| at).collect();
            firsts.sort_by_key(|&at| pieces[at as usize].digest);
            firsts
        });
        let found = by_digest.binary_search_by_key(blob, |&at| pieces[at as usize].digest);
        let from = found.map_or(pieces.len(), |nth| by_digest[nth] as usize);
        let count = pieces[from..].iter().take_while(|piece| piece.digest == *blob).count();
        &pieces[from..from + count]
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.0.pieces == other.0.pieces
    }
}

impl Eq for Pieces {}

impl Deref for Pieces {
    type Target = [Piece];

    fn deref(&self) -> &[Piece] {
        &self.0.pieces
    }
}

impl From<Vec<Piece>> for Pieces {
    fn from(pieces: Vec<Piece>) -> Self {
        Self(Arc::new(PieceList { pieces, by_digest: OnceLock::new() }))
    }
}

impl FromIterator<Piece> for Pieces {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Self {
        pieces.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Pieces {
    type Item = &'a Piece;
    type IntoIter = std::slice::Iter<'a, Piece>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.pieces.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pieces = Vec::deserialize(deserializer)?;
        pieces.shrink_to_fit();
        Ok(pieces.into())
    }
}
