//! Whether a copy is what was copied: read back, from where it lies.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;

use super::super::{
    copy::Error,
    packed_copy::{PackedProof, check_copy},
    verify,
};
use crate::{
    bundle::Reader,
    content::Fault,
    oci::{Algorithm, Digest, Hasher},
    pack::ReadSettings,
    progress::{Event, Phase, Progress},
    storage::{Error as StorageError, Pinned},
};

/// How a copy was proven.
pub(super) enum Proof {
    /// Every byte of it was held against the bundle's id.
    Bundle,
    /// All of it has this SHA-256, as what was sent has.
    Digest(Digest, Option<PackedProof>),
    /// The provider's own SHA-256 of it is that of what was sent.
    Attested,
}

/// Reads `copied` and holds it against the bundle that `reader` has open, or else against `learnt`, the SHA-256 of what was
/// sent, or where that is not known against the source. A packed file is opened with `read`, and its bundle checked.
pub(super) async fn prove(
    source: &Pinned,
    reader: Option<&Reader>,
    copied: &Pinned,
    learnt: Option<Digest>,
    (read, jobs): (&ReadSettings, usize),
    progress: &Progress,
) -> Result<Proof, Error> {
    if copied.stat().size != source.stat().size {
        let what = copied.object().location().to_string();
        return Err(StorageError::Protocol { what, reason: "the copy has another size".to_owned() }.into());
    }
    progress.tell(Event::Phase(Phase::Verifying));
    // The id of a sealed bundle fixes every byte of it, so reading the copy once proves it.
    if let Some(reader) = reader {
        return prove_bundle(source, copied, reader, jobs, progress).await;
    }
    let actual = hash(copied).await?;
    let expected = match learnt {
        Some(learnt) => learnt,
        None => hash(source).await?,
    };
    if expected != actual {
        return Err(mismatch(copied, expected, actual));
    }
    let path = PathBuf::from(source.object().location().to_string());
    let packed = check_copy(Arc::new(copied.clone()), read, jobs, progress).await;
    Ok(Proof::Digest(actual, packed.map_err(|flaws| Error::of_packed(&path, flaws))?))
}

fn mismatch(copied: &Pinned, expected: Digest, actual: Digest) -> Error {
    Error::Mismatch { path: PathBuf::from(copied.object().location().to_string()), expected, actual }
}

async fn prove_bundle(
    source: &Pinned,
    copied: &Pinned,
    theirs: &Reader,
    jobs: usize,
    progress: &Progress,
) -> Result<Proof, Error> {
    let path = PathBuf::from(source.object().location().to_string());
    let damaged = |count, first: String, code| Error::Damaged { path: path.clone(), count, first, code };
    let ours = Reader::open_on(Arc::new(copied.clone())).await;
    let ours = ours.map_err(|error| damaged(1, error.to_string(), error.code()))?;
    if ours.id() != theirs.id() || ours.facts() != theirs.facts() {
        return Err(mismatch(copied, theirs.id(), ours.id()));
    }
    let verification = verify::verify(&ours, jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(Proof::Bundle),
        Some(first) => Err(damaged(verification.findings.len(), first.message.clone(), first.code)),
    }
}

/// SHA-256 of all of it.
pub(crate) async fn hash(pinned: &Pinned) -> Result<Digest, StorageError> {
    let mut whole = Hasher::new(Algorithm::Sha256);
    let mut chunks = pinned.chunks(0..pinned.stat().size).await?;
    while let Some(chunk) = chunks.try_next().await? {
        whole.update(&chunk);
    }
    Ok(whole.finish())
}
