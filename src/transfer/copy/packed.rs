//! Copies of packed files: checked like copies of bundles.

use std::{path::Path, sync::Arc};

use super::{super::verify::verify, error::Error};
use crate::{
    content::{Fault, ReadAt},
    oci::Digest,
    pack::{self, PackKind, PackedFile, ReadSettings},
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
    /// Every byte of the volume of a packed file is what its head says.
    Volume,
}

/// The id of the bundle in a packed file, and how it was checked.
pub(super) type PackedProof = (Digest, PackedCheck);

/// Checks the packed file `copied`, with the bundle in it where all that it was packed against is given. `None` if it is another
/// file. What is wrong is wrong with `source`, of which it is a faithful copy.
pub(super) async fn check_packed(
    copied: Arc<dyn ReadAt>,
    source: &Path,
    read: &ReadSettings,
    jobs: usize,
    progress: &Progress,
) -> Result<Option<PackedProof>, Error> {
    let damaged = |count, first: String, code| Error::Damaged { path: source.to_owned(), count, first, code };
    let broken = |error: pack::Error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        damaged(1, causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")), error.code())
    };
    match pack::kind_at(&*copied).await.map_err(|error| broken(error.into()))? {
        PackKind::Other => return Ok(None),
        PackKind::Volume => {
            let id = pack::check_volume(copied).await.map_err(broken)?;
            return Ok(Some((id, PackedCheck::Volume)));
        }
        PackKind::Whole => {}
    }
    let packed = match PackedFile::open_on(Arc::clone(&copied), read.clone()).await {
        Err(pack::Error::BaseMissing { .. }) if read.base.is_none() => {
            return Ok(Some((pack::check_sealed(copied).await.map_err(broken)?, PackedCheck::File)));
        }
        opened => opened.map_err(broken)?,
    };
    let verification = verify(packed.reader(), jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(Some((packed.reader().id(), PackedCheck::Bundle))),
        Some(first) => Err(damaged(verification.findings.len(), first.message.clone(), first.code)),
    }
}
