//! Inspect: what a bundle holds, told from its manifests, and from the configs of single images.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures::{StreamExt, stream};
use serde::Serialize;

use super::{
    companions::Companion,
    delta::needs::{Needs, needs},
};
use crate::{
    bundle::{self, Absent, BundledArtifact, Contents, Format, Graph, Reader, Root, facts::Reason, volume::Piece},
    content::Verified,
    oci::{Descriptor, Digest, Manifest, Platform, Reference},
};

/// Nested indexes deeper than this are not shown; none that is meant well comes near.
const MAX_DEPTH: usize = 16;

/// Nodes of all trees together; beyond that what a manifest names is not listed under it.
const MAX_NODES: usize = 100_000;

/// Bytes of the largest config that is read for its platform; those of real images have a few thousand.
const CONFIG_LIMIT: u64 = 1 << 20;

/// Configs read at once: of a bundle in a storage each of them is a request.
const CONFIGS_AT_ONCE: usize = 8;

/// Media types of configs that name a platform.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Everything that a bundle's manifests tell.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// `bundle` (ours), `archive` or `folder` (of other tools).
    pub format: &'static str,
    /// SHA-256 of `index.json`; of ours the bundle id.
    pub bundle: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// The artifacts, by name.
    pub artifacts: Vec<InspectedArtifact>,
    /// Every manifest, config and layer, each once, in the order of the file where there is one.
    pub blobs: Vec<InspectedBlob>,
    /// What the manifests name and the bundle leaves out on purpose.
    pub absent: Vec<Absent>,
    /// What the receiver must have, where it is a delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// The volumes of the set, where it is one or a volume of one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<InspectedVolume>,
    /// Files that belong to it and are beside it: recovery data, the statement, signatures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<Companion>,
}

/// A volume of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedVolume {
    /// From 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// Bytes of the file, where it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Configs and layers that lie in it whole.
    pub blobs: usize,
    /// Segments of layers that are cut over volumes.
    pub segments: usize,
}

/// One artifact.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct InspectedArtifact {
    /// Its full name.
    pub reference: Reference,
    /// Bytes of its manifests, configs and layers, each once, without what is attached to it or absent.
    pub bytes: u64,
    /// What it runs on, as its index says, or the config of a single image; empty for what is neither.
    pub platforms: Vec<Platform>,
    /// Its root manifest and what that names.
    #[serde(flatten)]
    pub root: TreeNode,
    /// Signatures, SBOMs, attestations.
    pub attached: Vec<TreeNode>,
}

/// A manifest, config or layer, and what it names.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TreeNode {
    /// Of its bytes.
    pub digest: Digest,
    /// Its media type.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// The type of the artifact, where it is one.
    #[serde(rename = "artifactType", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Bytes.
    pub size: u64,
    /// What it runs on, as the index says that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The tag it is attached by, where it is not by `subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Why it is not in the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<Reason>,
    /// What it names is not listed here, since that would be too much.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<TreeNode>,
}

/// A manifest, config or layer where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedBlob {
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Of its first byte in the file; absent where it is a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many of the artifacts name it, attached ones included.
    pub artifacts: usize,
}

/// What `reader` has.
///
/// # Errors
/// It has more than can be shown.
pub fn inspect(reader: &Reader) -> bundle::Result<Inspection> {
    let format = match reader.format() {
        Format::Bundle => "bundle",
        Format::Archive => "archive",
        Format::Folder => "folder",
    };
    let (artifacts, blobs) = artifacts(reader.contents(), |digest| reader.offset(digest))?;
    let absent = reader.contents().absent.values().cloned().collect();
    let volumes = volumes(reader);
    Ok(Inspection {
        format,
        bundle: reader.id(),
        size: reader.size(),
        artifacts,
        blobs,
        needs: needs(reader.contents().absent.values()),
        absent,
        volumes,
        companions: Vec::new(),
    })
}

/// As [`inspect`], and the config of each single image is read, which the head of a bundle does not have: its platform.
///
/// # Errors
/// It has more than can be shown.
pub async fn inspect_with_configs(reader: &Reader) -> bundle::Result<Inspection> {
    let mut found = inspect(reader)?;
    let configs = found.artifacts.iter().enumerate().filter(|(_, artifact)| artifact.platforms.is_empty());
    let configs = configs.filter_map(|(at, artifact)| {
        let config = reader.manifest(&artifact.root.digest)?.config()?.clone();
        (config.size <= CONFIG_LIMIT && IMAGE_CONFIGS.contains(&config.media_type.as_str())).then_some((at, config))
    });
    let configs: Vec<_> = configs.collect();
    let platforms = stream::iter(configs).map(async |(at, config)| (at, platform_of(reader, &config).await));
    let platforms: Vec<_> = platforms.buffer_unordered(CONFIGS_AT_ONCE).collect().await;
    for (at, platform) in platforms {
        found.artifacts[at].platforms = platform.into_iter().collect();
    }
    Ok(found)
}

/// What a config says that is there and sound; whether it is, is for verify to tell.
async fn platform_of(reader: &Reader, config: &Descriptor) -> Option<Platform> {
    let content = Verified::open(Arc::new(reader.clone()), config).await.ok()?.collect().await.ok()?;
    let platform: Platform = serde_json::from_slice(&content).ok()?;
    platform.is_known().then_some(platform)
}

fn volumes(reader: &Reader) -> Vec<InspectedVolume> {
    let Some(cut) = reader.cut() else { return Vec::new() };
    let of = cut.volumes_of();
    let here = reader.volumes();
    let volume = |number: u32| {
        let pieces = cut.pieces.iter().filter(|piece| piece.volume == number);
        let (whole, cut): (Vec<&Piece>, Vec<&Piece>) = pieces.partition(|piece| of[&piece.digest].len() == 1);
        let name = here.get(&number).and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        InspectedVolume {
            number,
            name: name.unwrap_or_else(|| reader.volume_name(number)),
            size: reader.volume_size(number),
            blobs: whole.len(),
            segments: cut.len(),
        }
    };
    (1..=cut.volumes).map(volume).collect()
}

/// An artifact with what is shown with it: what is attached by a tag stands with what it is attached to.
pub(super) struct ShownGroup<'a> {
    /// The artifact, and what is attached to it by `subject`.
    pub(super) member: &'a BundledArtifact<'a>,
    /// What is attached to it by a tag.
    tagged: Vec<&'a Root>,
}

impl<'a> ShownGroup<'a> {
    /// The artifacts of `members`, without those that are attached to others.
    pub(super) fn all(members: &'a [BundledArtifact<'a>]) -> Vec<Self> {
        let parents = Graph::attached_by_tag(members);
        let mut tagged: HashMap<usize, Vec<&Root>> = HashMap::new();
        let mut children: Vec<_> = parents.iter().collect();
        children.sort_unstable();
        for (child, parent) in children {
            tagged.entry(*parent).or_default().push(members[*child].root);
        }
        let shown = members.iter().enumerate().filter(|(at, _)| !parents.contains_key(at));
        shown.map(|(at, member)| ShownGroup { member, tagged: tagged.remove(&at).unwrap_or_default() }).collect()
    }

    /// Where all that belongs to it begins.
    pub(super) fn tops(&self) -> impl Iterator<Item = &'a Descriptor> + Clone {
        let tagged = self.tagged.clone().into_iter().map(|root| &root.descriptor);
        std::iter::once(&self.member.root.descriptor).chain(self.member.attached.clone()).chain(tagged)
    }
}

/// The artifacts of `contents`, and what they consist of, in the order of the file.
fn artifacts(
    contents: &Contents,
    offset: impl Fn(&Digest) -> Option<u64>,
) -> bundle::Result<(Vec<InspectedArtifact>, Vec<InspectedBlob>)> {
    let graph = Graph::of(contents);
    let members = graph.members()?;
    let mut tree = Tree { contents, nodes: 0 };
    let mut artifacts = Vec::new();
    let mut blobs: BTreeMap<Digest, InspectedBlob> = BTreeMap::new();
    for group in ShownGroup::all(&members) {
        for (digest, size) in graph.content(group.tops())? {
            let fresh = || InspectedBlob { digest, size, offset: offset(&digest), artifacts: 0 };
            blobs.entry(digest).or_insert_with(fresh).artifacts += 1;
        }
        let Root { reference, descriptor } = group.member.root;
        let own = graph.content([descriptor])?;
        let mut attached: Vec<_> = group.member.attached.iter().map(|one| tree.node(one, 0)).collect();
        for root in &group.tagged {
            let tag = root.reference.tag().map(ToString::to_string);
            attached.push(TreeNode { tag, ..tree.node(&root.descriptor, 0) });
        }
        artifacts.push(InspectedArtifact {
            reference: reference.clone(),
            bytes: own.values().fold(0, |sum, size| sum.saturating_add(*size)),
            platforms: platforms(contents, descriptor),
            root: tree.node(descriptor, 0),
            attached,
        });
    }
    let mut blobs: Vec<_> = blobs.into_values().collect();
    blobs.sort_by_key(|blob| blob.offset);
    Ok((artifacts, blobs))
}

/// What the children of an index run on, as it says.
fn platforms(contents: &Contents, root: &Descriptor) -> Vec<Platform> {
    let children = contents.manifests.get(&root.digest).map(Manifest::children).unwrap_or_default();
    let present = children.iter().filter(|child| !contents.absent.contains_key(&child.digest));
    let platforms: BTreeSet<_> = present.filter_map(|child| child.platform.as_deref()).collect();
    platforms.into_iter().filter(|platform| platform.os != "unknown").cloned().collect()
}

/// Makes the trees of an inspection, which show what is shared under each that names it.
struct Tree<'a> {
    contents: &'a Contents,
    /// Nodes so far.
    nodes: usize,
}

impl Tree<'_> {
    fn node(&mut self, descriptor: &Descriptor, depth: usize) -> TreeNode {
        self.nodes += 1;
        let contents = self.contents;
        let manifest = contents.manifests.get(&descriptor.digest);
        let named = manifest.into_iter().flat_map(|manifest| manifest.children().iter().chain(manifest.blobs()));
        let number = named.clone().count();
        // A tree of all paths may have any size.
        let cut = number > 0 && (depth >= MAX_DEPTH || self.nodes.saturating_add(number) > MAX_NODES);
        let content = if cut { Vec::new() } else { named.map(|one| self.node(one, depth + 1)).collect() };
        let own_type = manifest.and_then(|manifest| manifest.descriptor().artifact_type.clone());
        TreeNode {
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            artifact_type: own_type.or_else(|| descriptor.artifact_type.clone()),
            size: descriptor.size,
            platform: descriptor.platform.as_deref().cloned(),
            tag: None,
            absent: contents.absent.get(&descriptor.digest).map(|absent| absent.reason),
            cut,
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        bundle::{Attached, Index},
        oci::{Tag, media_type},
    };

    const CONTEXT: &str = "r.example/app";

    fn manifest(document: &Value) -> Manifest {
        Manifest::parse(Bytes::from(document.to_string()), None).unwrap()
    }

    fn image(layers: &[Descriptor], more: &Value) -> Manifest {
        let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
        let mut document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config,
            "layers": layers});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        manifest(&document)
    }

    fn root(tag: &str, manifest: &Manifest) -> Root {
        Root { reference: format!("{CONTEXT}:{tag}").parse().unwrap(), descriptor: manifest.descriptor().clone() }
    }

    /// A two-platform image of which one platform is left out, with an SBOM that is signed, and a signature by tag; and
    /// another image that shares a layer.
    fn contents() -> Contents {
        let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"shared layer");
        let [amd64, arm64] =
            ["amd64", "arm64"].map(|name| image(std::slice::from_ref(&layer), &json!({"annotations": {"for": name}})));
        let platform = |manifest: &Manifest, architecture: &str| {
            let mut descriptor = json!(manifest.descriptor());
            descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
            descriptor
        };
        let index = manifest(&json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
            "manifests": [platform(&amd64, "amd64"), platform(&arm64, "arm64")]}));
        let other = image(&[layer], &json!({"annotations": {"for": "other"}}));
        let bare = |of: &Manifest| json!(Descriptor::new(of.media_type(), of.digest(), of.raw().len() as u64));
        let sbom = image(&[], &json!({"artifactType": "a/sbom", "subject": bare(&amd64)}));
        let proof = image(&[], &json!({"artifactType": "a/signature", "subject": bare(&sbom)}));
        let signature = image(&[], &json!({"annotations": {"for": "signature"}}));
        let tag = &Tag::cosign(&index.digest())[0];
        let roots = vec![root("1", &index), root("2", &other), root(tag.as_str(), &signature)];
        let attached = |of: &Manifest| Attached { repository: CONTEXT.to_owned(), descriptor: of.descriptor().clone() };
        let absent = Absent::new(arm64.digest(), Reason::Platform, 1);
        Contents {
            index: Index::new(roots, vec![attached(&proof), attached(&sbom)]),
            manifests: HashMap::from([amd64, index, other, sbom, proof, signature].map(|one| (one.digest(), one))),
            absent: BTreeMap::from([(arm64.digest(), absent)]),
        }
    }

    #[test]
    fn what_is_attached_by_subject_or_tag_is_shown_with_what_it_is_attached_to() {
        let (found, _) = artifacts(&contents(), |_| None).unwrap();
        let names: Vec<_> = found.iter().map(|artifact| artifact.reference.to_string()).collect();
        assert_eq!(names, ["r.example/app:1", "r.example/app:2"]);
        let kinds: Vec<_> = found[0].attached.iter().map(|node| node.artifact_type.as_deref().unwrap()).collect();
        assert_eq!(kinds, ["a/sbom", "a/signature", "application/vnd.oci.image.config.v1+json"]);
        assert!(found[0].attached[2].tag.as_ref().is_some_and(|tag| tag.starts_with("sha256-")));
        assert!(found[1].attached.is_empty());
    }

    #[test]
    fn what_is_left_out_on_purpose_is_shown_and_not_counted() {
        let (found, _) = artifacts(&contents(), |_| None).unwrap();
        let platforms: Vec<_> = found[0].platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64"]);
        let [present, absent] = &found[0].root.content[..] else { panic!("two children") };
        assert_eq!((present.absent, absent.absent), (None, Some(Reason::Platform)));
        assert_eq!(present.content.len(), 2);
        let there = found[0].root.size + present.size + present.content.iter().map(|node| node.size).sum::<u64>();
        assert_eq!(found[0].bytes, there);
    }

    #[test]
    fn blobs_are_listed_once_in_the_order_of_the_file_and_know_who_shares_them() {
        let layer = Digest::sha256(b"shared layer");
        let (_, blobs) = artifacts(&contents(), |digest| Some(if *digest == layer { 0 } else { 512 })).unwrap();
        assert_eq!((blobs[0].digest, blobs[0].artifacts), (layer, 2));
        let once: HashSet<_> = blobs.iter().map(|blob| blob.digest).collect();
        // 2 images, index, SBOM, its signature, the signature by tag; config and layer.
        assert_eq!((blobs.len(), once.len()), (8, 8));
    }
}
