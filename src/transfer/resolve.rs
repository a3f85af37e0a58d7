//! References become graphs: everything an artifact consists of, and everything attached to it.
//!
//! What peers lose silently is carried: for the root, for each child and for each attached artifact in turn, the
//! manifests that name it as `subject` and the tags by which cosign attaches to it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::Semaphore;

use super::{failure::Cause, named::NamedBlob};
use crate::{
    bundle::{Absent, Reason},
    content::{self, Origin, Source, Verified},
    oci::{Descriptor, Digest, Manifest, Name, Platform, Reference, Tag, media_type},
};

/// How far attached artifacts are followed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReferrerLimits {
    /// Attached to attached to … so many times.
    pub depth: usize,
    /// Manifests of one artifact, all told.
    pub manifests: usize,
}

impl Default for ReferrerLimits {
    /// A signature of an attestation of an SBOM of an image is 3 deep; a large index with signatures has some hundred
    /// manifests. Whatever goes beyond is more likely to be a trap than an artifact.
    fn default() -> Self {
        Self { depth: 8, manifests: 10_000 }
    }
}

/// What belongs to the artifacts of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Selection {
    /// Platforms to keep; empty keeps all.
    pub platforms: Vec<Platform>,
    /// Whether signatures, SBOMs and other attached artifacts belong to it.
    pub referrers: bool,
    /// How far they are followed.
    pub limits: ReferrerLimits,
}

impl Selection {
    /// Whether something for `platform` belongs to it.
    fn wants(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|filter| filter.selects(platform))
    }
}

/// An artifact's graph.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// Its full name.
    pub reference: Reference,
    /// Its root manifest.
    pub root: Descriptor,
    /// Every manifest of it and of what is attached to it.
    pub manifests: HashMap<Digest, Manifest>,
    /// Manifests attached by `subject`, in the order of their digests.
    pub attached: Vec<Descriptor>,
    /// Manifests attached by a cosign tag.
    pub tagged: Vec<(Tag, Descriptor)>,
    /// Manifests left out on purpose.
    pub absent: Vec<Absent>,
}

impl Resolved {
    /// An artifact of which its manifests are known elsewhere.
    pub(super) fn known(reference: Reference, root: Descriptor) -> Self {
        let (manifests, absent) = (HashMap::new(), Vec::new());
        Self { reference, root, manifests, attached: Vec::new(), tagged: Vec::new(), absent }
    }

    /// Every blob that its manifests name and that is not left out, each once.
    pub(super) fn blobs(&self) -> Vec<NamedBlob> {
        let absent: HashSet<Digest> = self.absent.iter().map(|absent| absent.digest).collect();
        let mut seen = HashSet::new();
        let mut blobs = Vec::new();
        for manifest in self.manifests.values() {
            for (place, blob) in manifest.blobs().enumerate() {
                // The same bytes may be a manifest here and a blob there; they travel as the manifest.
                let travels = !absent.contains(&blob.digest) && !self.manifests.contains_key(&blob.digest);
                if travels && seen.insert(blob.digest) {
                    blobs.extend(NamedBlob::of(manifest, place));
                }
            }
        }
        blobs.shrink_to_fit();
        blobs
    }
}

/// Resolves `reference` in `origin`. `requests` bounds what is asked at once, over all artifacts of a run.
pub async fn resolve(
    origin: Arc<dyn Origin>,
    reference: Reference,
    selection: &Selection,
    requests: &Semaphore,
) -> Result<Resolved, Cause> {
    let root = limited(requests, origin.resolve(&reference.name())).await?;
    check_platform(&origin, &root, selection, requests).await?;
    let walk = Walk {
        origin: &*origin,
        selection,
        requests,
        tasks: FuturesUnordered::new(),
        known: HashSet::new(),
        left_out: HashSet::new(),
        found: Resolved {
            root: root.descriptor().clone(),
            reference,
            manifests: HashMap::new(),
            attached: Vec::new(),
            tagged: Vec::new(),
            absent: Vec::new(),
        },
    };
    walk.run(root).await
}

async fn limited<T>(requests: &Semaphore, call: impl Future<Output = T>) -> T {
    // The semaphore is never closed; were it, asking unbounded would still be right.
    let _permit = requests.acquire().await;
    call.await
}

/// An answer that the walk waited for.
enum Fetched {
    /// A child of an index, or what is attached.
    Child(Manifest, usize),
    /// What is attached to a manifest by `subject`.
    Attached(Digest, Vec<Descriptor>, usize),
    /// What is attached by a tag.
    Tagged(Tag, Manifest, usize),
    /// Nothing.
    Nothing,
}

struct Walk<'a> {
    origin: &'a dyn Origin,
    selection: &'a Selection,
    requests: &'a Semaphore,
    tasks: FuturesUnordered<BoxFuture<'a, Result<Fetched, Cause>>>,
    /// Manifests that are or will be in `found`.
    known: HashSet<Digest>,
    /// Content that is in `found` as absent.
    left_out: HashSet<Digest>,
    found: Resolved,
}

impl Walk<'_> {
    async fn run(mut self, root: Manifest) -> Result<Resolved, Cause> {
        self.known.insert(root.digest());
        self.take_in(root, 0)?;
        while let Some(found) = self.tasks.next().await {
            match found? {
                Fetched::Child(manifest, depth) => self.take_in(manifest, depth)?,
                Fetched::Tagged(tag, manifest, depth) => {
                    self.found.tagged.push((tag, manifest.descriptor().clone()));
                    if self.known.insert(manifest.digest()) {
                        self.take_in(manifest, depth)?;
                    }
                }
                Fetched::Attached(subject, descriptors, depth) => {
                    self.ask_tagged(subject, depth);
                    self.attach(descriptors, depth)?;
                }
                Fetched::Nothing => {}
            }
        }
        for blob in self.found.blobs() {
            if let Some(reason) = self.origin.absence(&blob.digest) {
                self.leave_out(&blob, reason);
            }
        }
        self.found.attached.sort_by_key(|descriptor| descriptor.digest);
        self.found.tagged.sort_by(|(a, _), (b, _)| a.cmp(b));
        // What one index leaves out, another may hold.
        let Resolved { manifests, absent, .. } = &mut self.found;
        absent.retain(|absent| !manifests.contains_key(&absent.digest));
        absent.sort_by_key(|absent| absent.digest);
        Ok(self.found)
    }

    /// Notes a manifest and asks for what it leads to.
    fn take_in(&mut self, manifest: Manifest, depth: usize) -> Result<(), Cause> {
        let digest = manifest.digest();
        for child in self.selected(&manifest)? {
            if self.known.insert(child.digest) {
                self.ask_child(child, depth);
            }
        }
        self.found.manifests.insert(digest, manifest);
        if self.known.len() > self.selection.limits.manifests {
            return Err(Cause::Limit { what: "manifests of one artifact", limit: self.selection.limits.manifests });
        }
        if self.selection.referrers {
            self.ask_attached(digest, depth);
        }
        Ok(())
    }

    fn ask_child(&self, child: Descriptor, depth: usize) {
        let (origin, requests) = (self.origin, self.requests);
        self.tasks.push(Box::pin(async move {
            let name = Name::Digest(child.digest);
            let manifest = limited(requests, origin.resolve(&name)).await?;
            check_size(&child, &manifest)?;
            Ok(Fetched::Child(manifest, depth))
        }));
    }

    fn ask_attached(&self, subject: Digest, depth: usize) {
        let (origin, requests) = (self.origin, self.requests);
        self.tasks.push(Box::pin(async move {
            let attached = limited(requests, origin.referrers(&subject)).await?;
            Ok(Fetched::Attached(subject, attached, depth + 1))
        }));
    }

    /// Asks for what is attached by tags: after the other question, whose answer may have told that there are none.
    fn ask_tagged(&self, subject: Digest, depth: usize) {
        let (origin, requests) = (self.origin, self.requests);
        for tag in Tag::cosign(&subject) {
            self.tasks.push(Box::pin(async move {
                // By HEAD, which registries do not count as a pull: most artifacts have no such tag.
                let name = Name::Tag(tag.clone());
                if limited(requests, origin.head(&name)).await?.is_none() {
                    return Ok(Fetched::Nothing);
                }
                let manifest = limited(requests, origin.resolve(&name)).await?;
                Ok(Fetched::Tagged(tag, manifest, depth))
            }));
        }
    }

    fn attach(&mut self, descriptors: Vec<Descriptor>, depth: usize) -> Result<(), Cause> {
        if !descriptors.is_empty() && depth > self.selection.limits.depth {
            return Err(Cause::Limit {
                what: "attached artifacts, one on another,",
                limit: self.selection.limits.depth,
            });
        }
        for descriptor in descriptors {
            if self.known.insert(descriptor.digest) {
                let bare = Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size);
                self.found.attached.push(Descriptor { artifact_type: descriptor.artifact_type.clone(), ..bare });
                self.ask_child(descriptor, depth);
            }
        }
        Ok(())
    }

    /// The children to carry; the others are noted as absent.
    fn selected(&mut self, manifest: &Manifest) -> Result<Vec<Descriptor>, Cause> {
        let children = manifest.children();
        let wanted: HashSet<Digest> =
            children.iter().filter(|child| self.wants(child)).map(|child| child.digest).collect();
        let describes_wanted = |child: &Descriptor| {
            // BuildKit's attestations stand beside the images they describe, as platform unknown/unknown.
            let of = child.annotations.get("vnd.docker.reference.digest");
            of.map(|of| of.parse().is_ok_and(|digest| wanted.contains(&digest)))
        };
        let (keep, leave): (Vec<_>, Vec<_>) = children
            .iter()
            .cloned()
            .partition(|child| describes_wanted(child).unwrap_or_else(|| wanted.contains(&child.digest)));
        // Only the artifact itself must have what was asked for; what is nested or attached may be all for others.
        let is_root = self.found.manifests.is_empty();
        if is_root && keep.is_empty() && !leave.is_empty() {
            let offered: Vec<_> =
                leave.iter().filter_map(|child| child.platform.as_deref()).map(ToString::to_string).collect();
            return Err(Cause::NoPlatform { manifests: leave.len(), offered: offered.join(", ") });
        }
        let kept: HashSet<Digest> = keep.iter().map(|child| child.digest).collect();
        let left = leave.into_iter().filter(|child| !kept.contains(&child.digest));
        for child in left {
            self.leave_out(&child, Reason::Platform);
        }
        // What the origin has left out before is left out again.
        let (absent, keep): (Vec<_>, Vec<_>) =
            keep.into_iter().partition(|child| self.origin.absence(&child.digest).is_some());
        for child in absent {
            let reason = self.origin.absence(&child.digest).unwrap_or(Reason::Platform);
            self.leave_out(&child, reason);
        }
        Ok(keep)
    }

    fn leave_out(&mut self, content: &Descriptor, reason: Reason) {
        let (digest, size) = (content.digest, content.size);
        if self.left_out.insert(digest) {
            self.found.absent.push(Absent::new(digest, reason, size));
        }
    }

    /// Whether the filter lets a child through by its own platform; a child without one is not an image to be filtered.
    fn wants(&self, child: &Descriptor) -> bool {
        child.platform.as_deref().is_none_or(|platform| self.selection.wants(platform))
    }
}

/// Largest config that is read for its platform; the largest known are some hundred kB.
const MAX_CONFIG: u64 = 4 << 20;

/// An image that is not part of an index says in its config which platform it is for.
async fn check_platform(
    origin: &Arc<dyn Origin>,
    root: &Manifest,
    selection: &Selection,
    requests: &Semaphore,
) -> Result<(), Cause> {
    let is_image = |config: &&Descriptor| media_type::IMAGE_CONFIGS.contains(&&*config.media_type);
    let config = root.config().filter(is_image).filter(|config| config.size <= MAX_CONFIG);
    let Some(config) = config.filter(|_| !selection.platforms.is_empty()) else { return Ok(()) };
    let source = Arc::clone(origin) as Arc<dyn Source>;
    let text = limited(requests, async { Verified::open(source, config).await?.collect().await }).await?;
    // One that says nothing, or cannot be read, is not a reason to leave the image behind.
    match serde_json::from_slice::<Platform>(&text) {
        Ok(found) if found.is_known() && !selection.wants(&found) => {
            Err(Cause::NoPlatform { manifests: 1, offered: found.to_string() })
        }
        _ => Ok(()),
    }
}

fn check_size(expected: &Descriptor, manifest: &Manifest) -> content::Result<()> {
    let actual = manifest.descriptor().size;
    if actual == expected.size {
        return Ok(());
    }
    Err(content::Error::SizeMismatch { digest: expected.digest, expected: expected.size, actual })
}

#[cfg(test)]
mod tests;
