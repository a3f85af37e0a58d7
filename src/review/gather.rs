//! What the page says, computed from the manifests of a bundle.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{
    bundle::{self, Contents, Facts, Graph, Reason, Root},
    oci::{Digest, Manifest, PeerText, Reference, Tag},
};

/// Rows of artifacts that are gone; more of them are counted.
const MAX_REMOVED: usize = 200;

/// A bundle as a reviewer sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Review {
    /// The name of the file.
    pub name: String,
    /// The bundle id.
    pub bundle: Digest,
    /// The SHA-256 of `airlift.json`, or the set id, where there is one.
    pub seal: Option<Digest>,
    /// Bytes of the bundle.
    pub size: u64,
    /// The artifacts, by name.
    pub artifacts: Vec<ReviewedArtifact>,
    /// Bytes by repository, each blob counted for the first one that names it, the largest first.
    pub repositories: Vec<(String, u64)>,
    /// Blobs that the target must have, and their bytes; zero if it is not a delta.
    pub needs: (u64, u64),
    /// Bundles that have them.
    pub bases: BTreeSet<Digest>,
    /// Blobs left out for other reasons.
    pub left_out: u64,
    /// What it was compared with, and what is gone since.
    pub against: Option<(String, Vec<(Reference, Digest)>)>,
    /// Artifacts that are gone and not listed.
    pub more_removed: usize,
    /// Files beside the bundle, such as its statement and signatures, each as a line.
    pub beside: Vec<String>,
}

/// An artifact on the page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReviewedArtifact {
    /// Its name.
    pub reference: Reference,
    /// Its root manifest.
    pub digest: Digest,
    /// What it runs on.
    pub platforms: Vec<String>,
    /// Bytes of its manifests, configs and layers, each once, whether they are in the bundle or not.
    pub bytes: u64,
    /// What is attached to it: kinds, and how many of each.
    pub attached: BTreeMap<String, usize>,
    /// How it differs from what it was compared with.
    pub change: Option<Change>,
}

/// How an artifact differs from what it was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Added,
    /// It was another one.
    Moved(Digest),
    /// It was the same.
    Same,
}

/// What was there before.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReviewedChanges {
    /// What the bundle is compared with, as a person named it.
    pub name: String,
    /// The artifacts that were there.
    pub before: BTreeMap<Reference, Digest>,
}

impl Review {
    /// The review of a bundle of `size` bytes.
    ///
    /// # Errors
    /// It is more than a run can handle.
    pub fn of(name: &str, contents: &Contents, facts: Option<&Facts>, size: u64) -> bundle::Result<Self> {
        let graph = Graph::of(contents);
        let members = graph.members()?;
        let parents = Graph::attached_by_tag(&members);
        let mut artifacts = Vec::new();
        let mut repositories: BTreeMap<String, u64> = BTreeMap::new();
        let mut counted = HashSet::new();
        for (at, member) in members.iter().enumerate() {
            let attached = graph.attached(member)?;
            let manifests: Vec<&Manifest> = member.manifests.manifests().copied().collect();
            let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
            for manifest in manifests.iter().copied().chain(attached.manifests().copied()) {
                sizes.insert(manifest.digest(), manifest.descriptor().size);
                sizes.extend(manifest.blobs().map(|blob| (blob.digest, blob.size)));
            }
            let new = sizes.iter().filter(|(digest, _)| counted.insert(**digest)).map(|(_, size)| size);
            let new: u64 = new.fold(0, |sum, size| u64::saturating_add(sum, *size));
            *repositories.entry(member.root.reference.context().to_string()).or_default() += new;
            if parents.contains_key(&at) {
                continue;
            }
            let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
            for manifest in attached.manifests().filter(|manifest| manifest.subject().is_some()) {
                let kind = manifest.descriptor().artifact_type.clone();
                let kind = kind.unwrap_or_else(|| manifest.media_type().to_owned());
                *kinds.entry(in_words(&kind)).or_default() += 1;
            }
            let by_tag = parents.iter().filter(|(_, parent)| **parent == at).map(|(child, _)| members[*child].root);
            for root in by_tag {
                *kinds.entry(kind_of_tag(root)).or_default() += 1;
            }
            artifacts.push(ReviewedArtifact {
                reference: member.root.reference.clone(),
                digest: member.root.descriptor.digest,
                platforms: platforms(&manifests),
                bytes: sizes.values().fold(0, |sum, size| u64::saturating_add(sum, *size)),
                attached: kinds,
                change: None,
            });
        }
        let mut repositories: Vec<_> = repositories.into_iter().collect();
        repositories.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let (delta, others): (Vec<_>, Vec<_>) =
            contents.absent.values().partition(|absent| absent.reason == Reason::Delta);
        Ok(Self {
            name: name.to_owned(),
            bundle: contents.index.id(),
            seal: facts.map(Facts::set_id),
            size,
            artifacts,
            repositories,
            needs: (delta.len() as u64, delta.iter().fold(0, |sum, one| u64::saturating_add(sum, one.size))),
            bases: delta.iter().flat_map(|absent| &absent.bundles).copied().collect(),
            left_out: others.len() as u64,
            against: None,
            more_removed: 0,
            beside: Vec::new(),
        })
    }

    /// Marks what changed since `changes`.
    pub fn compare(&mut self, changes: &ReviewedChanges) {
        for artifact in &mut self.artifacts {
            artifact.change = Some(match changes.before.get(&artifact.reference) {
                None => Change::Added,
                Some(before) if *before == artifact.digest => Change::Same,
                Some(before) => Change::Moved(*before),
            });
        }
        let here: HashSet<&Reference> = self.artifacts.iter().map(|artifact| &artifact.reference).collect();
        let is_gone =
            |reference: &Reference| !here.contains(reference) && !reference.tag().is_some_and(Tag::is_of_attached);
        let gone = changes.before.iter().filter(|(reference, _)| is_gone(reference));
        let mut removed: Vec<_> = gone.map(|(reference, digest)| (reference.clone(), *digest)).collect();
        self.more_removed = removed.len().saturating_sub(MAX_REMOVED);
        removed.truncate(MAX_REMOVED);
        self.against = Some((changes.name.clone(), removed));
    }

    /// Keeps only the artifacts that `shows` says may be seen.
    pub fn retain(&mut self, shows: impl Fn(&Reference) -> bool) {
        self.artifacts.retain(|artifact| shows(&artifact.reference));
        let seen: HashSet<String> =
            self.artifacts.iter().map(|artifact| artifact.reference.context().to_string()).collect();
        self.repositories.retain(|(repository, _)| seen.contains(repository));
    }
}

/// Types of what is attached that a reviewer knows by other names.
const KNOWN: [(&str, &str); 7] = [
    ("application/vnd.dev.sigstore.bundle", "sigstore bundle (signature or attestation)"),
    ("application/vnd.dev.cosign.artifact.sig", "cosign signature"),
    ("application/vnd.cncf.notary.signature", "Notary Project signature"),
    ("application/spdx", "SPDX SBOM"),
    ("text/spdx", "SPDX SBOM"),
    ("application/vnd.cyclonedx", "CycloneDX SBOM"),
    ("application/vnd.in-toto", "in-toto attestation"),
];

fn in_words(kind: &str) -> String {
    let known = KNOWN.iter().find(|(begin, _)| kind.starts_with(begin));
    known.map_or_else(|| PeerText(kind).to_string(), |(_, words)| (*words).to_owned())
}

/// What cosign attaches by such a tag.
fn kind_of_tag(root: &Root) -> String {
    let tag = root.reference.tag().map(Tag::as_str).unwrap_or_default();
    let kinds = [(".sig", "cosign signature"), (".att", "cosign attestation"), (".sbom", "cosign SBOM")];
    let kind = kinds.iter().find(|(end, _)| tag.ends_with(end)).map(|(_, kind)| *kind);
    kind.unwrap_or("attached by tag").to_owned()
}

/// The platforms that the indexes of an artifact name.
fn platforms(manifests: &[&Manifest]) -> Vec<String> {
    let named = manifests.iter().flat_map(|manifest| manifest.children()).filter_map(|child| child.platform.as_deref());
    let known: BTreeSet<String> = named.filter(|platform| platform.is_known()).map(ToString::to_string).collect();
    known.iter().map(|platform| PeerText(platform).to_string()).collect()
}
