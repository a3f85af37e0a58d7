//! What an import takes artifacts from: their manifests are known, and their blobs can be fetched.

use std::sync::Arc;

use super::{failure::Side, plan::Plan};
use crate::{
    bundle::{self, Contents, Facts, Reader},
    content::{self, Source},
    holding::ReceivedBundle,
    oci::{Descriptor, Digest},
};

/// Artifacts that can be moved: a bundle, or what an export has planned.
pub(super) trait ArtifactSupply: Send + Sync {
    /// Names and manifests.
    fn contents(&self) -> &Contents;

    /// The bundle that it is, where it is one.
    fn bundle(&self) -> Option<ReceivedBundle>;

    /// Which side it is of a run.
    fn side(&self) -> Side;

    /// Whether all of a blob is here now; the rest of it may be in a volume that is not.
    fn has(&self, blob: &Digest) -> bool;

    /// Whether it is a place that has the bytes of a blob, or a part of them.
    fn brings(&self, blob: &Digest) -> bool;

    /// Where a blob may be had, best first.
    fn origins(&self, blob: &Digest) -> Vec<Arc<dyn Source>>;

    /// A blob with all that is known of where it may be had.
    fn described(&self, blob: &Descriptor) -> Descriptor;

    /// A failure with a blob, as this place puts it.
    fn explained(&self, error: content::Error) -> content::Error;
}

impl ArtifactSupply for Reader {
    fn contents(&self) -> &Contents {
        self.contents()
    }

    fn bundle(&self) -> Option<ReceivedBundle> {
        Some(ReceivedBundle::new(self.id(), self.facts().map(Facts::set_id)))
    }

    fn side(&self) -> Side {
        Side::Bundle
    }

    fn has(&self, blob: &Digest) -> bool {
        self.has(blob)
    }

    fn brings(&self, blob: &Digest) -> bool {
        match self.cut() {
            Some(cut) => !cut.pieces.of(blob).is_empty(),
            None => self.offset(blob).is_some() || self.locate(blob).is_ok_and(|found| found.is_some()),
        }
    }

    fn origins(&self, _blob: &Digest) -> Vec<Arc<dyn Source>> {
        vec![Arc::new(self.clone())]
    }

    fn described(&self, blob: &Descriptor) -> Descriptor {
        blob.clone()
    }

    /// With the place in the file.
    fn explained(&self, error: content::Error) -> content::Error {
        match error {
            content::Error::DigestMismatch { expected, actual } => {
                let offset = self.offset(&expected).unwrap_or(0);
                bundle::Error::DigestMismatch { expected, actual, offset }.into()
            }
            content::Error::SizeMismatch { digest, expected, actual } => {
                bundle::Error::SizeMismatch { digest, expected, actual }.into()
            }
            other => other,
        }
    }
}

impl ArtifactSupply for Plan {
    fn contents(&self) -> &Contents {
        self.contents()
    }

    fn bundle(&self) -> Option<ReceivedBundle> {
        None
    }

    fn side(&self) -> Side {
        self.side()
    }

    fn has(&self, _blob: &Digest) -> bool {
        true
    }

    fn brings(&self, blob: &Digest) -> bool {
        !self.origins(blob).is_empty()
    }

    fn origins(&self, blob: &Digest) -> Vec<Arc<dyn Source>> {
        self.origins(blob)
    }

    fn described(&self, blob: &Descriptor) -> Descriptor {
        self.described(blob)
    }

    fn explained(&self, error: content::Error) -> content::Error {
        error
    }
}
