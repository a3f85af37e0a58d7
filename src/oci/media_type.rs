//! Media types of manifests and layers, and what each means for the transfer.
//!
//! The constants are those of the `oci-distribution` crate where it has them; the others follow image-spec 1.1
//! (*media-types.md*) and Docker's "Image Manifest Version 2, Schema 2".

pub use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE as DOCKER_MANIFEST_LIST, IMAGE_MANIFEST_MEDIA_TYPE as DOCKER_MANIFEST,
    OCI_IMAGE_INDEX_MEDIA_TYPE as OCI_INDEX, OCI_IMAGE_MEDIA_TYPE as OCI_MANIFEST,
};

/// The artifact manifest that the image-spec had in its release candidates; registries still hold some.
pub const OCI_ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The empty config `{}` of image-spec 1.1, "Guidance for an empty descriptor".
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Configs of images, which say the platform.
pub const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What to send as `Accept` for a manifest, in the order of our preference.
pub const MANIFESTS: [&str; 5] =
    [OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT_MANIFEST];

/// Docker schema 1, signed and unsigned. Its layers are named in another way, and it cannot be carried as it is.
const DOCKER_SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Layers that their makers do not allow to be pushed to registries, and that a disconnected site needs all the same.
const FOREIGN_LAYERS: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.v1.", "application/vnd.docker.image.rootfs.foreign.diff."];

/// A manifest or index of any known form.
pub fn is_manifest(media_type: &str) -> bool {
    MANIFESTS.contains(&media_type) || is_schema_1(media_type)
}

/// Whether a `Content-Type` is one that servers send of anything, so that the document itself says what it is.
pub fn says_nothing(content_type: &str) -> bool {
    ["", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain"].contains(&content_type)
}

/// An index or manifest list.
pub fn is_index(media_type: &str) -> bool {
    media_type == OCI_INDEX || media_type == DOCKER_MANIFEST_LIST
}

/// Docker schema 1.
pub fn is_schema_1(media_type: &str) -> bool {
    DOCKER_SCHEMA_1.contains(&media_type)
}

/// A non-distributable ("foreign") layer.
pub fn is_foreign_layer(media_type: &str) -> bool {
    FOREIGN_LAYERS.iter().any(|prefix| media_type.starts_with(prefix))
}

/// The distributable twin of a foreign layer's media type, for `--rewrite-foreign`; `None` for any other type.
pub fn distributable(media_type: &str) -> Option<String> {
    let [oci, docker] = FOREIGN_LAYERS;
    if let Some(rest) = media_type.strip_prefix(oci) {
        return Some(format!("application/vnd.oci.image.layer.v1.{rest}"));
    }
    // Docker's types end `.tar.gzip`, `.tar` alike on both sides.
    media_type.strip_prefix(docker).map(|rest| format!("application/vnd.docker.image.rootfs.diff.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_layers_are_recognised_and_have_a_distributable_twin() {
        for (foreign, twin) in [
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
        ] {
            assert!(is_foreign_layer(foreign));
            assert_eq!(distributable(foreign).as_deref(), Some(twin));
            assert!(!is_foreign_layer(twin));
            assert_eq!(distributable(twin), None);
        }
    }
}
