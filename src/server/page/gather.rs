//! What the page shows, asked of the backends as a client would ask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    os::unix::fs::FileExt,
};

use crate::{
    oci::{Descriptor, Digest, Manifest, Name, Platform, Tag, graph::Account},
    server::{
        answer::Refusal,
        auth::Caller,
        backend::{Backend, Requested},
        closure::CLOSURES,
        file::{BlobState, FileIdentity},
        frontend::Frontend,
    },
};

/// Artifacts on one page. Readers rarely go beyond that; clients list tags.
const MAX_ARTIFACTS: usize = 500;

/// Largest config that is read for its platform.
const MAX_CONFIG: u64 = 256 << 10;

/// Everything on the page.
#[derive(Debug, Default)]
pub(super) struct PageContent {
    pub(super) artifacts: Vec<PageArtifact>,
    /// Bytes of all content, each counted once.
    pub(super) bytes: u64,
    pub(super) blobs: usize,
    /// Not everything is on the page.
    pub(super) more: bool,
}

/// What a tag names, or what is known by its digest alone.
#[derive(Debug)]
pub(super) struct PageArtifact {
    pub(super) repository: String,
    /// The registries that it came from.
    pub(super) hosts: Vec<String>,
    pub(super) tag: Option<String>,
    pub(super) digest: Digest,
    /// Whether it is a Helm chart.
    pub(super) is_chart: bool,
    /// Names of the files in it, where it is made of files.
    pub(super) files: Vec<String>,
    /// What it is, where that is said.
    pub(super) kind: Option<String>,
    pub(super) platforms: BTreeSet<String>,
    pub(super) bytes: u64,
    pub(super) layers: usize,
    /// Of its layers, those that another artifact has too.
    pub(super) shared: usize,
    pub(super) attached: BTreeMap<&'static str, usize>,
    pub(super) check: CheckedCount,
    blobs: HashMap<Digest, u64>,
}

/// How far its content was read and found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckedCount {
    pub(super) good: usize,
    pub(super) damaged: usize,
    pub(super) absent: usize,
    pub(super) all: usize,
}

/// Looks at everything whose name contains `search`, which is in lower case.
pub(super) fn gather(registry: &Frontend, search: &str, caller: &Caller) -> Result<PageContent, Refusal> {
    let backends = &registry.backends;
    let mut gathered = PageContent::default();
    // Of one account for the whole page: many names of one large artifact cost as much as many such artifacts.
    let mut account = CLOSURES.open();
    'all: for repository in backends.repositories("", MAX_ARTIFACTS + 1)? {
        if !registry.shows(caller, &repository) {
            continue;
        }
        let at = Requested::plain(&repository);
        let hosts = backends.hosts(at);
        let tags =
            backends.tags(at, "", MAX_ARTIFACTS + 1)?.into_iter().filter_map(|tag| tag.parse().ok().map(Name::Tag));
        for name in tags.chain(backends.pinned(at)?.into_iter().map(Name::Digest)) {
            // Signatures and the like that are kept under tags belong to what they sign.
            if matches!(&name, Name::Tag(tag) if tag.is_of_attached()) || !is_sought(search, &hosts, &repository, &name)
            {
                continue;
            }
            if gathered.artifacts.len() == MAX_ARTIFACTS {
                gathered.more = true;
                break 'all;
            }
            let found = artifact(registry, at, &name, &mut account)?;
            gathered.more |= found.is_none();
            gathered.artifacts.extend(found.map(|found| PageArtifact { hosts: hosts.clone(), ..found }));
        }
    }
    let mut owners: HashMap<Digest, (u64, usize)> = HashMap::new();
    for artifact in &gathered.artifacts {
        for (digest, size) in &artifact.blobs {
            owners.entry(*digest).or_insert((*size, 0)).1 += 1;
        }
    }
    gathered.blobs = owners.len();
    gathered.bytes = owners.values().fold(0, |sum, (size, _)| sum.saturating_add(*size));
    for artifact in &mut gathered.artifacts {
        artifact.shared = artifact.blobs.keys().filter(|digest| owners[digest].1 > 1).count();
    }
    Ok(gathered)
}

fn is_sought(search: &str, hosts: &[String], repository: &str, name: &Name) -> bool {
    let separator = if matches!(name, Name::Tag(_)) { ':' } else { '@' };
    let full = format!("{} {repository}{separator}{name}", hosts.join(" "));
    full.to_lowercase().contains(search)
}

/// Files of one artifact that are named on the page.
const MAX_FILES: usize = 20;

/// The annotation by which tools name the file that a layer is (image-spec 1.1, *annotations.md*).
const TITLE: &str = "org.opencontainers.image.title";

/// The config of Helm's charts.
const CHART: &str = "application/vnd.cncf.helm.config.v1+json";

fn artifact(
    registry: &Frontend,
    at: Requested<'_>,
    name: &Name,
    account: &mut Account,
) -> Result<Option<PageArtifact>, Refusal> {
    let Some(manifests) = registry.backends.closure(at, name, account)? else { return Ok(None) };
    let root = &manifests[0];
    let mut platforms: BTreeSet<String> = BTreeSet::new();
    let mut blobs = HashMap::new();
    for manifest in &manifests {
        platforms.extend(manifest.children().iter().filter_map(|child| child.platform.as_deref()).filter_map(shown));
        blobs.extend(manifest.blobs().map(|blob| (blob.digest, blob.size)));
    }
    if platforms.is_empty()
        && let Some(config) = root.config()
    {
        platforms.extend(platform_of(registry, at, config)?.as_ref().and_then(shown));
    }
    let layers: HashSet<Digest> = manifests.iter().flat_map(Manifest::layers).map(|layer| layer.digest).collect();
    let kind = root
        .descriptor()
        .artifact_type
        .clone()
        .filter(|kind| !kind.contains("image.config") && !kind.contains("container.image"));
    let titles = manifests.iter().flat_map(Manifest::layers).filter_map(|layer| layer.annotations.get(TITLE));
    Ok(Some(PageArtifact {
        repository: at.repository.to_owned(),
        hosts: Vec::new(),
        tag: match name {
            Name::Tag(tag) => Some(tag.to_string()),
            Name::Digest(_) => None,
        },
        digest: root.digest(),
        is_chart: root.config().is_some_and(|config| config.media_type == CHART),
        files: titles.take(MAX_FILES).cloned().collect(),
        kind,
        platforms,
        bytes: blobs.values().fold(0, |sum: u64, size| sum.saturating_add(*size)),
        layers: layers.len(),
        shared: 0,
        attached: attached(registry, at, &manifests)?,
        check: check(registry, at, &blobs)?,
        blobs,
    }))
}

fn platform_of(registry: &Frontend, at: Requested<'_>, config: &Descriptor) -> Result<Option<Platform>, Refusal> {
    let blob = registry.backends.blob(at, &config.digest)?.filter(|blob| blob.size <= MAX_CONFIG);
    let Some(blob) = blob else { return Ok(None) };
    let mut text = vec![0; usize::try_from(blob.size).unwrap_or(0)];
    let read = blob.file.read_exact_at(&mut text, blob.offset).is_ok();
    Ok(serde_json::from_slice(&text).ok().filter(|_| read))
}

/// `BuildKit` lists attestations as images of an unknown platform.
fn shown(platform: &Platform) -> Option<String> {
    (!platform.os.is_empty() && platform.os != "unknown").then(|| platform.to_string())
}

/// What is attached to any of the manifests, by what it is.
fn attached(
    registry: &Frontend,
    at: Requested<'_>,
    manifests: &[Manifest],
) -> Result<BTreeMap<&'static str, usize>, Refusal> {
    let mut found: BTreeMap<&'static str, usize> = BTreeMap::new();
    for manifest in manifests {
        for referrer in registry.backends.referrers(at, &manifest.digest())? {
            *found.entry(what(referrer.artifact_type.as_deref().unwrap_or_default())).or_default() += 1;
        }
        for (tag, kind) in Tag::cosign(&manifest.digest()).into_iter().zip(["signature", "attestation", "SBOM"]) {
            if registry.backends.has_manifest(at, &Name::Tag(tag))? {
                *found.entry(kind).or_default() += 1;
            }
        }
    }
    Ok(found)
}

/// In a word that people know.
fn what(artifact_type: &str) -> &'static str {
    let kinds = [
        ("signature", &["signature", "cosign", "sigstore", "notary"][..]),
        ("SBOM", &["spdx", "cyclonedx", "sbom", "syft"][..]),
        ("attestation", &["in-toto", "attest", "provenance"][..]),
    ];
    let kind = kinds.into_iter().find(|(_, marks)| marks.iter().any(|mark| artifact_type.contains(mark)));
    kind.map_or("attachment", |(kind, _)| kind)
}

fn check(registry: &Frontend, at: Requested<'_>, blobs: &HashMap<Digest, u64>) -> Result<CheckedCount, Refusal> {
    let mut check = CheckedCount { all: blobs.len(), ..CheckedCount::default() };
    for digest in blobs.keys() {
        let state = if let Some(blob) = registry.backends.blob(at, digest)? {
            // A file of which nothing can be learnt any more is no better than a damaged one.
            FileIdentity::of(&blob.file).map_or(BlobState::Damaged, |identity| registry.checked.state(&blob, identity))
        } else if let Some(far) = registry.backends.far(at, digest)? {
            far.state()
        } else {
            check.absent += 1;
            continue;
        };
        match state {
            BlobState::Good => check.good += 1,
            BlobState::Unknown => {}
            BlobState::Damaged => check.damaged += 1,
        }
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attached_artifacts_are_told_by_words_that_people_know() {
        for (artifact_type, word) in [
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
            ("application/vnd.cncf.notary.signature", "signature"),
            ("application/spdx+json", "SBOM"),
            ("application/vnd.cyclonedx+json", "SBOM"),
            ("application/vnd.in-toto+json", "attestation"),
            ("application/x-other", "attachment"),
        ] {
            assert_eq!(what(artifact_type), word);
        }
    }
}
