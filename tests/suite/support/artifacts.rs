//! Small artifacts of any shape, made in memory and pushed with plain HTTP, so that no tool's opinion gets in between.

use airlift::oci::{Descriptor, Digest, Manifest, media_type};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::registry::Registry;

/// Media type of the layers that are made here. Their bytes are no tar unless the test says so; registries do not look.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The non-distributable twin of [`LAYER`].
pub(crate) const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// Media type of an image's config.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A blob with the descriptor by which a manifest names it.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// How it is named.
    pub(crate) descriptor: Descriptor,
    /// Its bytes; `None` for one that the registry is not given (a foreign layer, or one that is to be missing).
    pub(crate) content: Option<Bytes>,
}

impl Blob {
    /// A blob of `media_type`.
    pub(crate) fn new(media_type: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { descriptor: Descriptor::of(media_type, &content), content: Some(content) }
    }

    /// `size` incompressible bytes that follow from `seed` alone.
    pub(crate) fn layer(seed: u64, size: usize) -> Self {
        Self::new(LAYER, noise(seed, size))
    }

    /// A foreign layer that lies at `url` only.
    pub(crate) fn foreign(content: impl Into<Bytes>, url: &str) -> Self {
        let mut blob = Self::new(FOREIGN, content);
        blob.descriptor.urls = vec![url.to_owned()];
        blob.content = None;
        blob
    }
}

/// A manifest with everything below it, children first.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// The root itself.
    pub(crate) root: Manifest,
    /// The manifests below an index.
    pub(crate) children: Vec<Artifact>,
    /// Config and layers.
    pub(crate) blobs: Vec<Blob>,
}

impl Artifact {
    /// An image for `platform` (`linux/amd64`).
    pub(crate) fn image(platform: &str, layers: Vec<Blob>) -> Self {
        let (os, architecture) = platform.split_once('/').unwrap();
        let ids: Vec<Digest> = layers.iter().map(|layer| layer.descriptor.digest).collect();
        let config = json!({ "architecture": architecture, "os": os, "rootfs": { "type": "layers", "diff_ids": ids }, "config": {} });
        Self::manifest(None, Blob::new(CONFIG, config.to_string()), layers, None)
    }

    /// The shortest way to an image: one layer of `size` bytes that follow from `seed`.
    pub(crate) fn small(seed: u64, size: usize) -> Self {
        Self::image("linux/amd64", vec![Blob::layer(seed, size)])
    }

    /// An artifact that is not an image, with the empty config of image-spec 1.1, attached to `subject` if there is one.
    pub(crate) fn attached(artifact_type: &str, payload: Blob, subject: Option<&Self>) -> Self {
        let empty = Blob::new(media_type::OCI_EMPTY, &b"{}"[..]);
        Self::manifest(Some(artifact_type), empty, vec![payload], subject)
    }

    /// An image manifest with any config, layers, artifact type and subject.
    pub(crate) fn manifest(
        artifact_type: Option<&str>,
        config: Blob,
        layers: Vec<Blob>,
        subject: Option<&Self>,
    ) -> Self {
        let mut document = Map::new();
        let descriptors: Vec<&Descriptor> = layers.iter().map(|layer| &layer.descriptor).collect();
        document.insert("schemaVersion".into(), json!(2));
        document.insert("mediaType".into(), json!(media_type::OCI_MANIFEST));
        if let Some(artifact_type) = artifact_type {
            document.insert("artifactType".into(), json!(artifact_type));
        }
        document.insert("config".into(), json!(config.descriptor));
        document.insert("layers".into(), json!(descriptors));
        if let Some(subject) = subject {
            document.insert("subject".into(), json!(subject.plain_descriptor()));
        }
        let blobs = std::iter::once(config).chain(layers).collect();
        Self { root: parse(&Value::Object(document)), children: Vec::new(), blobs }
    }

    /// An index over images, each with its platform.
    pub(crate) fn index(children: Vec<(&str, Self)>) -> Self {
        let descriptors: Vec<Value> = children
            .iter()
            .map(|(platform, child)| {
                let (os, architecture) = platform.split_once('/').unwrap();
                let mut descriptor = json!(child.plain_descriptor());
                descriptor["platform"] = json!({ "architecture": architecture, "os": os });
                descriptor
            })
            .collect();
        let document = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": descriptors });
        let children = children.into_iter().map(|(_, child)| child).collect();
        Self { root: parse(&document), children, blobs: Vec::new() }
    }

    /// Two platforms that share a layer.
    pub(crate) fn multi_platform(seed: u64, size: usize) -> Self {
        let shared = Blob::layer(seed, size);
        let image = |platform, n| Self::image(platform, vec![shared.clone(), Blob::layer(seed + n, size)]);
        let (amd64, arm64) = (image("linux/amd64", 1), image("linux/arm64", 2));
        Self::index(vec![("linux/amd64", amd64), ("linux/arm64", arm64)])
    }

    /// The digest of the root.
    pub(crate) fn digest(&self) -> Digest {
        self.root.digest()
    }

    /// Every manifest, children before parents.
    pub(crate) fn manifests(&self) -> Vec<&Manifest> {
        self.children.iter().flat_map(Self::manifests).chain([&self.root]).collect()
    }

    /// Every blob, doubles included.
    pub(crate) fn all_blobs(&self) -> Vec<&Blob> {
        self.children.iter().flat_map(Self::all_blobs).chain(&self.blobs).collect()
    }

    /// Pushes blobs, then manifests by digest, then the root under `tag` if there is one.
    pub(crate) fn push(&self, registry: &Registry, repository: &str, tag: Option<&str>) {
        for content in self.all_blobs().into_iter().filter_map(|blob| blob.content.clone()) {
            registry.push_blob(repository, content);
        }
        for manifest in self.manifests() {
            registry.push_manifest(repository, &manifest.digest().to_string(), manifest);
        }
        if let Some(tag) = tag {
            registry.push_manifest(repository, tag, &self.root);
        }
    }

    fn plain_descriptor(&self) -> Descriptor {
        let descriptor = self.root.descriptor();
        Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
    }
}

/// Pushes the fallback index of referrers, as clients do for registries without the referrers API (such as
/// distribution 2.8): distribution-spec 1.1, "Referrers Tag Schema".
pub(crate) fn push_referrers_tag(registry: &Registry, repository: &str, subject: &Artifact, referrers: &[&Artifact]) {
    let listed: Vec<&Descriptor> = referrers.iter().map(|artifact| artifact.root.descriptor()).collect();
    let index = parse(&json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": listed }));
    registry.push_manifest(repository, &subject.digest().to_string().replace(':', "-"), &index);
}

fn parse(document: &Value) -> Manifest {
    Manifest::parse(document.to_string().into(), None).unwrap()
}

/// `size` bytes of a xorshift generator: incompressible, and the same for the same seed.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    // An odd multiplier spreads neighbouring seeds; the generator must not start at zero.
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
