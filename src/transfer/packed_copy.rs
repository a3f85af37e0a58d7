//! Copies of packed files: checked like copies of bundles.

use std::sync::Arc;

use super::verify::verify;
use crate::{
    content::{Code, Fault, ReadAt},
    oci::Digest,
    pack::{self, PackedFile, ReadSettings},
    progress::Progress,
};

/// How a packed file that was copied is proven.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedCheck {
    /// Every blob of the bundle in it has its digest.
    Bundle,
    /// Every byte of the packed file is what its head says. What it was packed against is not given.
    File,
}

/// The id of the bundle in a packed file, and how it was checked.
pub(super) type PackedProof = (Digest, PackedCheck);

/// What is wrong with a packed file.
pub(super) struct PackedFlaws {
    /// How many things.
    pub(super) count: usize,
    /// The first of them.
    pub(super) first: String,
    /// Of what kind it is.
    pub(super) code: Code,
}

impl<E: Fault> From<E> for PackedFlaws {
    fn from(error: E) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let first = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        Self { count: 1, first, code: error.code() }
    }
}

/// Checks the packed file `copied`, with the bundle in it where all that it was packed against is given. `None` if it is another
/// file.
pub(super) async fn check_copy(
    copied: Arc<dyn ReadAt>,
    read: &ReadSettings,
    jobs: usize,
    progress: &Progress,
) -> Result<Option<PackedProof>, PackedFlaws> {
    if !pack::is_packed_at(&*copied).await? {
        return Ok(None);
    }
    let packed = match PackedFile::open_on(Arc::clone(&copied), read.clone()).await {
        Err(pack::Error::BaseMissing { .. }) if read.base.is_none() => {
            return Ok(Some((pack::check_sealed(copied).await?, PackedCheck::File)));
        }
        opened => opened?,
    };
    let verification = verify(packed.reader(), jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(Some((packed.reader().id(), PackedCheck::Bundle))),
        Some(first) => {
            let (count, first, code) = (verification.findings.len(), first.message.clone(), first.code);
            Err(PackedFlaws { count, first, code })
        }
    }
}
