//! Which artifacts of bundles are images for a node, and what a runtime should have of each.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use super::error::Error;
use crate::{
    bundle::Reader,
    content::Verified,
    oci::{Descriptor, Digest, Manifest, Platform, Reference, Tag, media_type},
    transfer::{Opened, choice::NamePattern},
};

/// Largest config that is read for its platform.
const MAX_CONFIG: u64 = 4 << 20;

/// Where images go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadTarget {
    /// The daemon of docker.
    Docker,
    /// The storage of podman.
    Podman,
    /// containerd, by its program `ctr`.
    Containerd,
    /// The containerd of k3s, by `k3s ctr`.
    K3s,
    /// A folder from which a runtime takes archives at its start, as those of k3s and RKE2 do.
    Folder(PathBuf),
}

impl FromStr for LoadTarget {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "containerd" => Self::Containerd,
            "k3s" => Self::K3s,
            folder => Self::Folder(Path::new(folder).to_owned()),
        })
    }
}

/// What to load, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Artifacts; all images of the bundles if there are none.
    pub artifacts: Vec<NamePattern>,
    /// Where they go.
    pub into: LoadTarget,
    /// The socket of the runtime, where it is not the usual one.
    pub address: Option<String>,
    /// The namespace of containerd.
    pub namespace: Option<String>,
    /// The platform.
    pub platform: Platform,
}

/// The platform of this machine.
pub fn node_platform() -> Platform {
    let (architecture, variant) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", None),
        "x86" => ("386", None),
        "aarch64" => ("arm64", None),
        "arm" => ("arm", Some("v7".to_owned())),
        "powerpc64" => ("ppc64le", None),
        other => (other, None),
    };
    Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), os_version: None, variant }
}

/// An image to load.
#[derive(Clone, Debug)]
pub(super) struct NodeImage {
    pub(super) reference: Reference,
    /// Its root.
    pub(super) root: Digest,
    /// The manifest for the platform, which is the root itself where it is not an index.
    pub(super) manifest: Digest,
    /// The config of that manifest, by which runtimes name an image.
    pub(super) config: Digest,
}

/// What to load, and what is left out.
#[derive(Debug, Default)]
pub(super) struct NodeImages {
    pub(super) images: Vec<NodeImage>,
    /// Artifacts that are no images, and images for other platforms.
    pub(super) left_out: Vec<Reference>,
}

/// The images among the artifacts that `patterns` mean; among all of them without a pattern.
pub(super) async fn images(
    bundles: &[Opened],
    patterns: &[NamePattern],
    platform: &Platform,
) -> Result<NodeImages, Error> {
    let mut found: BTreeMap<Reference, Option<NodeImage>> = BTreeMap::new();
    let mut used = vec![false; patterns.len()];
    for reader in bundles.iter().map(Opened::reader) {
        for root in reader.index().roots() {
            let reference = &root.reference;
            let meant: Vec<usize> = (0..patterns.len()).filter(|&at| patterns[at].matches(reference)).collect();
            for &at in &meant {
                used[at] = true;
            }
            // What is attached by a tag comes for its subject's sake only.
            let is_attached = reference.tag().is_some_and(Tag::is_of_attached);
            if patterns.is_empty() && is_attached || !patterns.is_empty() && meant.is_empty() {
                continue;
            }
            let image = image(reader, reference, &root.descriptor.digest, platform).await?;
            if image.is_none() && patterns.iter().any(|pattern| pattern.to_string() == reference.to_string()) {
                return Err(Error::NoImage { artifact: Box::new(reference.clone()) });
            }
            found.entry(reference.clone()).or_insert(image);
        }
    }
    if let Some(at) = used.iter().position(|used| !used) {
        return Err(crate::transfer::Error::NoneMatches { pattern: patterns[at].to_string() }.into());
    }
    let mut images = NodeImages::default();
    for (reference, image) in found {
        match image {
            Some(image) => images.images.push(image),
            None => images.left_out.push(reference),
        }
    }
    if images.images.is_empty() { Err(Error::Nothing { platform: platform.to_string() }) } else { Ok(images) }
}

/// The image of the artifact `root`, if it is one and there is one for the platform.
async fn image(
    reader: &Reader,
    reference: &Reference,
    root: &Digest,
    platform: &Platform,
) -> Result<Option<NodeImage>, Error> {
    let Some(top) = reader.manifest(root) else { return Ok(None) };
    let manifest = if top.children().is_empty() { Some(top) } else { child(reader, top, platform) };
    let Some(manifest) = manifest else { return Ok(None) };
    let is_config = |config: &&Descriptor| media_type::IMAGE_CONFIGS.contains(&&*config.media_type);
    let Some(config) = manifest.config().filter(is_config) else { return Ok(None) };
    if manifest.digest() == *root && config.size <= MAX_CONFIG {
        let text = Verified::open(Arc::new(reader.clone()), config).await?.collect().await?;
        // A config that says nothing is for any platform.
        let own = serde_json::from_slice::<Platform>(&text).ok().filter(Platform::is_known);
        if own.is_some_and(|own| !platform.selects(&own)) {
            return Ok(None);
        }
    }
    let (reference, manifest, config) = (reference.clone(), manifest.digest(), config.digest);
    Ok(Some(NodeImage { reference, root: *root, manifest, config }))
}

/// The child of an index for the platform.
fn child<'a>(reader: &'a Reader, index: &Manifest, platform: &Platform) -> Option<&'a Manifest> {
    let of_platform = |own: &Platform| platform.selects(own);
    let mut children = index.children().iter().filter(|child| child.platform.as_deref().is_some_and(of_platform));
    children.find_map(|child| reader.manifest(&child.digest))
}
