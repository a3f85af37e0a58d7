//! Blobs as places in manifests: what a run of a hundred thousand of them can hold of each.

use std::ops::Deref;

use crate::oci::{Descriptor, Manifest};

/// A blob as a manifest names it. It takes as little memory as a place in the manifest does: there may be a hundred thousand.
#[derive(Clone, Debug)]
pub(super) struct NamedBlob {
    manifest: Manifest,
    place: usize,
}

impl NamedBlob {
    /// The blob at `place` of `manifest`, if there is one.
    pub(super) fn of(manifest: &Manifest, place: usize) -> Option<Self> {
        manifest.blob(place).map(|_| Self { manifest: manifest.clone(), place })
    }
}

impl Deref for NamedBlob {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        self.manifest.blob(self.place).expect("it was there when this was made")
    }
}
