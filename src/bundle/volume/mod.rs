//! Sets of volumes: a bundle cut into files of a given size, each of which is a layout that can be read alone.
//!
//! What is cut how follows from the contents and the size alone ([`pack()`]); every volume carries the whole of it
//! ([`Cut`]), and so describes the set and what is elsewhere. Beside the volumes lie the [`SetManifest`] of the set
//! and sums for `sha256sum -c`.

mod manifest;
mod pack;
mod pieces;
pub(crate) mod publication;
mod share;
mod size;
mod unsealed;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use manifest::{SUMS, SetFile, SetManifest, SetManifestError, is_name};
pub use pack::pack;
#[doc(hidden)]
pub use pieces::Pieces;
pub(crate) use share::{VolumeGroup, deal};
pub use size::{ParseSizeError, Size};
pub(crate) use unsealed::{UNSEALED_LIMIT, UnsealedSet};

use super::{Error, Result, header};
use crate::oci::{Descriptor, Digest};

/// Most volumes that a set can have: three digits tell them apart, and more discs than that are not carried in practice.
pub const MAX_VOLUMES: u32 = 999;

/// A blob, or a stretch of one, and the volume it lies in. Fields stand in the order of canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Of the whole blob.
    pub digest: Digest,
    /// Where in the blob the piece begins, in bytes.
    pub from: u64,
    /// Bytes of the piece.
    pub size: u64,
    /// The volume, from 1.
    pub volume: u32,
}

/// How a bundle is cut into volumes: the member `set` of `airlift.json`, the same in each of them. Fields stand in the
/// order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Every config and layer in the order of an undivided bundle; the pieces of one that is cut by where they begin.
    pub pieces: Pieces,
    /// Bytes that a volume may have.
    pub size: u64,
    /// How many volumes there are.
    pub volumes: u32,
}

/// Which volume of its set a file is: the member `volume` of `airlift.json`. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// From 1.
    pub number: u32,
    /// The SHA-256 of each piece in it that is not a whole blob, in the order of the file.
    pub segments: Vec<Digest>,
    /// The set's id: the SHA-256 of `airlift.json` without this member.
    pub set: Digest,
}

/// A piece with what follows from its place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPiece {
    /// The piece.
    pub piece: Piece,
    /// Which one of its blob's it is, from 1; `None` for a whole blob.
    pub segment: Option<u32>,
    /// The blob it is of.
    pub blob: Descriptor,
}

impl PlacedPiece {
    /// The name of its entry in the tar.
    pub fn name(&self) -> String {
        match self.segment {
            None => header::blob_name(&self.piece.digest),
            Some(number) => segment_name(&self.piece.digest, number),
        }
    }
}

/// The name of the entry that holds segment `number` of a blob. Three digits, so that a shell's `*` gives them in order.
pub fn segment_name(digest: &Digest, number: u32) -> String {
    format!("segments/{}/{}/{number:03}", digest.algorithm(), digest.hex())
}

/// What the file of volume `number` of the set `name` is called.
pub fn volume_name(name: &str, number: u32) -> String {
    format!("{name}.vol{number:03}.tar")
}

impl Cut {
    /// Every piece with what it is of, checked: the blobs are all there, in order, without gaps, and no volume has two
    /// pieces of one blob.
    ///
    /// # Errors
    /// [`Error::Seal`] where the cut is not one of `blobs`.
    pub fn placed<'b>(&self, blobs: impl IntoIterator<Item = &'b Descriptor>) -> Result<Vec<PlacedPiece>> {
        let mut placed = Vec::with_capacity(self.pieces.len());
        self.place(blobs, |piece, segment, blob| placed.push(PlacedPiece { piece, segment, blob: blob.clone() }))?;
        Ok(placed)
    }

    /// As [`Cut::placed`], with each piece handed to `each`: of a hundred thousand most are of no use.
    pub(crate) fn place<'b>(
        &self,
        blobs: impl IntoIterator<Item = &'b Descriptor>,
        mut each: impl FnMut(Piece, Option<u32>, &'b Descriptor),
    ) -> Result<()> {
        let wrong = |reason: String| Error::Seal { document: "airlift.json", reason };
        if self.volumes == 0 || self.volumes > MAX_VOLUMES {
            return Err(wrong(format!("a set of {} volumes is none", self.volumes)));
        }
        let mut pieces = self.pieces.iter().copied().peekable();
        for blob in blobs {
            let (mut at, mut segment, mut before) = (0, 0, 0);
            loop {
                let piece = pieces.next().filter(|piece| piece.digest == blob.digest && piece.from == at);
                let lacks = || wrong(format!("the set has no place for all of {}", blob.digest));
                let piece = piece.ok_or_else(lacks)?;
                let end = at.checked_add(piece.size).filter(|&end| end <= blob.size).ok_or_else(lacks)?;
                let is_whole = at == 0 && end == blob.size;
                // Volumes go up along a blob, so none has two pieces of it; a piece of no bytes is a blob of none.
                if piece.volume <= before || piece.volume > self.volumes || (piece.size == 0 && !is_whole) {
                    return Err(wrong(format!("the set puts {} where it cannot be", blob.digest)));
                }
                (at, before, segment) = (end, piece.volume, segment + 1);
                let segment = (!is_whole).then_some(segment);
                each(piece, segment, blob);
                if at == blob.size {
                    break;
                }
            }
        }
        match pieces.next() {
            None => Ok(()),
            Some(piece) => Err(wrong(format!("the set holds {}, which nothing names", piece.digest))),
        }
    }

    /// The pieces of each blob that is cut.
    pub(crate) fn segmented(&self) -> impl Iterator<Item = &[Piece]> {
        self.pieces.chunk_by(|a, b| a.digest == b.digest).filter(|pieces| pieces.len() > 1)
    }

    /// The segments in volume `number`, in its order.
    pub(crate) fn segments(&self, number: u32) -> impl Iterator<Item = &Piece> {
        self.segmented().flatten().filter(move |piece| piece.volume == number)
    }

    /// The volumes that hold each blob, lowest first.
    pub fn volumes_of(&self) -> HashMap<Digest, Vec<u32>> {
        let mut volumes: HashMap<Digest, Vec<u32>> = HashMap::new();
        for piece in &self.pieces {
            volumes.entry(piece.digest).or_default().push(piece.volume);
        }
        volumes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    #[test]
    fn a_cut_that_is_none_is_refused() {
        let blob = Descriptor::new("a/b", Digest::sha256(b"blob"), 100);
        let piece = |from, size, volume| Piece { digest: blob.digest, from, size, volume };
        let cut = |pieces: &[Piece]| Cut { pieces: pieces.to_vec().into(), size: 4096, volumes: 3 };
        let placed = |pieces: &[Piece]| cut(pieces).placed(std::slice::from_ref(&blob));
        let good = placed(&[piece(0, 60, 1), piece(60, 40, 3)]).unwrap();
        assert_eq!(good.iter().map(|one| one.segment).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert!(good[1].name().ends_with("/002"));
        assert_eq!(placed(&[piece(0, 100, 2)]).unwrap()[0].segment, None);
        let other = Piece { digest: Digest::sha256(b"other"), ..piece(0, 1, 1) };
        for bad in [
            &[][..],
            &[piece(0, 60, 1)],
            &[piece(0, 60, 1), piece(61, 39, 2)],
            &[piece(0, 60, 1), piece(59, 41, 2)],
            &[piece(0, 60, 1), piece(60, 41, 2)],
            &[piece(0, 60, 1), piece(60, 40, 1)],
            &[piece(0, 60, 2), piece(60, 40, 1)],
            &[piece(0, 100, 0)],
            &[piece(0, 100, 4)],
            &[piece(0, 0, 1), piece(0, 100, 2)],
            &[piece(0, 100, 1), other],
            &[piece(0, u64::MAX, 1)],
        ] {
            assert_eq!(placed(bad).unwrap_err().code(), Code::BundleSeal, "{bad:?}");
        }
    }
}
