//! A manifest as it is kept: bytes with their names.

use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::oci::{Descriptor, Digest, Manifest};

/// The bytes of a manifest, unparsed, as a pull wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// The digest of the bytes, by the algorithm it was pushed with.
    pub digest: Digest,
    /// The media type it was pushed as.
    pub media_type: String,
    /// Exactly what was pushed.
    pub bytes: Bytes,
}

#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// The descriptor that a list of referrers has of `manifest` (distribution-spec 1.1, "Listing Referrers"): the type of the
/// artifact, and its annotations.
pub fn referrer(manifest: &Manifest) -> Descriptor {
    let mut descriptor = manifest.descriptor().clone();
    if descriptor.artifact_type.as_deref().is_none_or(str::is_empty) {
        descriptor.artifact_type = manifest.config().map(|config| config.media_type.clone());
    }
    let annotated = serde_json::from_slice::<Annotated>(manifest.raw()).ok();
    descriptor.annotations = annotated.and_then(|document| document.annotations).unwrap_or_default();
    descriptor
}
