//! The plan of an export: what every artifact consists of, where each blob may be had, and so the whole bundle, before a
//! single layer moves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::{
    delta::{base::Bases, needs::needs},
    error::Error,
    export::request::{Foreign, Request},
    failure::{Cause, Failure, Side},
    named::NamedBlob,
    report::{Outcome, Report},
    resolve::{Resolved, resolve},
};
use crate::{
    bundle::{Absent, Attached, Contents, Graph, Index, Reason, Root},
    content::{self, Origin, Origins, Source},
    oci::{Descriptor, Digest, Name, Reference},
    progress::{Event, Phase, Progress},
};

/// One artifact and where it is from.
struct PlannedArtifact {
    resolved: Resolved,
    blobs: Vec<NamedBlob>,
    origin: Arc<dyn Origin>,
}

/// Which artifact names a blob, by its place in the list of artifacts, and as which of its blobs.
type Holder = (u32, u32);

/// What an export will do.
pub struct Plan {
    artifacts: Vec<PlannedArtifact>,
    /// What names each blob: sorted by the blob's digest, then by artifact.
    holders: Vec<Holder>,
    failures: Vec<Failure>,
    report: Report,
    contents: Contents,
    /// Where the artifacts are from, as a failure names it.
    side: Side,
}

impl Plan {
    /// Resolves every artifact, and asks the source for every blob.
    pub(super) async fn make(origins: &dyn Origins, request: &Request, progress: &Progress) -> Result<Self, Error> {
        let mut plan = Self::resolved(origins, Side::Source, request, progress).await?;
        progress.tell(Event::Phase(Phase::Planning));
        let missing = plan.missing_blobs(request.small_jobs.max(1)).await;
        plan.drop_blobs(missing);
        Ok(plan)
    }

    /// Resolves every artifact. No blob was asked for yet.
    pub(super) async fn resolved(
        origins: &dyn Origins,
        side: Side,
        request: &Request,
        progress: &Progress,
    ) -> Result<Self, Error> {
        progress.tell(Event::Phase(Phase::Resolving));
        let requests = Semaphore::new(request.small_jobs.max(1));
        let references: BTreeSet<&Reference> = request.artifacts.iter().collect();
        let mut plan = Self {
            artifacts: Vec::new(),
            holders: Vec::new(),
            failures: Vec::new(),
            report: Report {
                artifacts: references.iter().map(|&reference| Outcome::unknown(reference.clone())).collect(),
                ..Report::default()
            },
            contents: contents_of(&[]),
            side,
        };
        plan.resolve(references, origins, request, &requests, progress).await;
        plan.leave_out(&request.bases).await?;
        plan.drop_blobs(HashMap::new());
        Ok(plan)
    }

    /// The plan of artifacts that were resolved before: those of `contents`, and of their blobs only the `wanted` ones.
    pub(super) fn of_contents(
        contents: Contents,
        origins: &dyn Origins,
        wanted: &BTreeSet<Digest>,
    ) -> Result<Self, Error> {
        let graph = Graph::of(&contents);
        let mut artifacts = Vec::new();
        for member in graph.members()? {
            let attached = graph.attached(&member)?;
            let mut seen = HashSet::new();
            let manifests = member.manifests.manifests().chain(attached.manifests());
            let named = manifests.flat_map(|one| one.blobs().enumerate().map(move |(place, blob)| (one, place, blob)));
            let blobs = named.filter(|(.., blob)| wanted.contains(&blob.digest) && seen.insert(blob.digest));
            let blobs = blobs.filter_map(|(manifest, place, _)| NamedBlob::of(manifest, place));
            let (reference, root) = (member.root.reference.clone(), member.root.descriptor.clone());
            let origin = origins.origin(reference.context());
            artifacts.push(PlannedArtifact {
                blobs: blobs.collect(),
                resolved: Resolved::known(reference, root),
                origin,
            });
        }
        let report = Report::of_roots(&contents.index);
        let holders = holders_of(&artifacts);
        Ok(Self { side: Side::Source, holders, artifacts, failures: Vec::new(), report, contents })
    }

    /// Resolves every reference; what fails is noted, and the others go on.
    async fn resolve(
        &mut self,
        references: BTreeSet<&Reference>,
        origins: &dyn Origins,
        request: &Request,
        requests: &Semaphore,
        progress: &Progress,
    ) {
        let selection = request.selection();
        let resolving = references.into_iter().map(|reference| {
            let origin = origins.origin(reference.context());
            let selection = &selection;
            async move {
                let resolved = resolve(Arc::clone(&origin), reference.clone(), selection, requests).await;
                (reference, origin, resolved)
            }
        });
        // In order, so that the first failure named is the same at each run.
        let mut resolving = stream::iter(resolving).buffered(request.small_jobs.max(1));
        while let Some((reference, origin, resolved)) = resolving.next().await {
            match resolved {
                Ok(mut resolved) => {
                    if request.foreign == Foreign::Skip {
                        leave_out_foreign(&mut resolved);
                    }
                    self.add(resolved, origin, progress);
                }
                Err(cause) => {
                    progress.tell(Event::Failed { artifact: reference.clone(), reason: super::report::chain(&cause) });
                    self.failures.push(Failure { artifact: reference.clone(), side: self.side, cause });
                }
            }
        }
    }

    fn add(&mut self, resolved: Resolved, origin: Arc<dyn Origin>, progress: &Progress) {
        let blobs = resolved.blobs();
        let bytes = blobs.iter().map(|blob| blob.size).sum();
        let pieces = (resolved.manifests.len() + blobs.len()) as u64;
        progress.tell(Event::Resolved { artifact: resolved.reference.clone(), pieces, bytes });
        // The report is in the order of the references, each once.
        let place = self.report.artifacts.binary_search_by(|one| one.reference.cmp(&resolved.reference));
        if let Ok(place) = place {
            let outcome = &mut self.report.artifacts[place];
            outcome.digest = Some(resolved.root.digest);
            outcome.bytes = bytes;
            outcome.attached = (resolved.attached.len() + resolved.tagged.len()) as u64;
        }
        self.artifacts.push(PlannedArtifact { resolved, blobs, origin });
    }

    /// Leaves out the blobs that the receiver has, in whichever of its repositories.
    async fn leave_out(&mut self, bases: &Bases) -> Result<(), Error> {
        if bases.is_empty() {
            return Ok(());
        }
        let named = self
            .artifacts
            .iter()
            .flat_map(|artifact| artifact.blobs.iter().map(|blob| (artifact.resolved.reference.context(), &**blob)));
        let known = bases.asked(&named.collect()).await?;
        for artifact in &mut self.artifacts {
            let (held, lacking): (Vec<_>, Vec<_>) =
                std::mem::take(&mut artifact.blobs).into_iter().partition(|blob| known.holds(&blob.digest));
            artifact.resolved.absent.extend(held.iter().filter_map(|blob| known.absent(blob)));
            artifact.blobs = lacking;
            let absent = &mut artifact.resolved.absent;
            *absent = absent.iter().map(|one| known.remembered(one)).collect();
        }
        Ok(())
    }

    /// Asks the source for every blob, so that what is missing is known before the layout is fixed.
    async fn missing_blobs(&self, at_once: usize) -> HashMap<Digest, content::Error> {
        let blobs: BTreeMap<Digest, &Descriptor> =
            self.artifacts.iter().flat_map(|artifact| &artifact.blobs).map(|blob| (blob.digest, &**blob)).collect();
        let asking = blobs.into_values().map(|blob| {
            let origins = self.origins(&blob.digest);
            async move {
                let mut outcome = content::Error::NotFound { what: format!("blob {}", blob.digest) };
                for origin in origins {
                    match origin.contains(blob).await {
                        Ok(true) => return None,
                        Ok(false) => {}
                        Err(error) => outcome = error,
                    }
                }
                Some((blob.digest, outcome))
            }
        });
        let asking: Vec<_> = asking.collect();
        stream::iter(asking).buffer_unordered(at_once).filter_map(async |missing| missing).collect().await
    }

    /// Plans out the artifacts that need one of `failed`, and computes what the bundle holds without them.
    pub(super) fn drop_blobs(&mut self, failed: HashMap<Digest, content::Error>) {
        let failed: HashMap<Digest, Arc<content::Error>> =
            failed.into_iter().map(|(digest, error)| (digest, Arc::new(error))).collect();
        let (good, bad): (Vec<_>, Vec<_>) = std::mem::take(&mut self.artifacts)
            .into_iter()
            .partition(|artifact| !artifact.blobs.iter().any(|blob| failed.contains_key(&blob.digest)));
        self.artifacts = good;
        self.holders = holders_of(&self.artifacts);
        for artifact in bad {
            let cause = artifact.blobs.iter().find_map(|blob| {
                let source = Arc::clone(failed.get(&blob.digest)?);
                Some(Cause::Blob { digest: blob.digest, size: blob.size, source })
            });
            let (artifact, side) = (artifact.resolved.reference, self.side);
            self.failures.extend(cause.map(|cause| Failure { artifact, side, cause }));
        }
        self.report.fail(&self.failures);
        self.contents = contents_of(&self.artifacts);
        self.report.left_out = needs(self.contents.absent.values());
    }

    /// Where a blob may be had: every repository whose artifacts name it.
    pub(super) fn origins(&self, blob: &Digest) -> Vec<Arc<dyn Source>> {
        let mut seen = HashSet::new();
        let holders = self.holders(blob).iter();
        holders
            .map(|&(at, _)| &self.artifacts[at as usize])
            .filter(|artifact| seen.insert(artifact.resolved.reference.context()))
            .map(|artifact| Arc::clone(&artifact.origin) as Arc<dyn Source>)
            .collect()
    }

    /// A blob as a manifest describes it; with the `urls` of a foreign layer, which a bundle's layout does without.
    pub(super) fn described(&self, blob: &Descriptor) -> Descriptor {
        let described = self.holders(&blob.digest).iter().map(|&holder| named(&self.artifacts, holder));
        // Of equal ones the first.
        described.rev().max_by_key(|one| one.urls.len()).map_or(blob, |one| one).clone()
    }

    /// What names `blob`.
    fn holders(&self, blob: &Digest) -> &[Holder] {
        let digest = |&holder: &Holder| named(&self.artifacts, holder).digest;
        let from = self.holders.partition_point(|holder| digest(holder) < *blob);
        let count = self.holders[from..].iter().take_while(|holder| digest(holder) == *blob).count();
        &self.holders[from..from + count]
    }

    /// What the bundle will hold; its layout follows from it alone.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Each blob once: how many, and their bytes.
    pub fn totals(&self) -> (u64, u64) {
        let mut seen = HashSet::new();
        let blobs = self.artifacts.iter().flat_map(|artifact| &artifact.blobs);
        let sizes = blobs.filter(|blob| seen.insert(blob.digest)).map(|blob| blob.size);
        let bytes = sizes.sum();
        (seen.len() as u64, bytes)
    }

    /// Artifacts that cannot be exported, and why.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Where the artifacts are from, as a failure names it.
    pub(super) const fn side(&self) -> Side {
        self.side
    }

    /// What is known of every artifact asked for.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    pub(super) fn into_contents(self) -> (Contents, Report) {
        (self.contents, self.report)
    }

    /// As [`Plan::into_error`], of a plan that has more to say afterwards.
    pub(super) fn take_error(&mut self) -> Error {
        let (report, failures) = (std::mem::take(&mut self.report), std::mem::take(&mut self.failures));
        Error::Artifacts { report: Box::new(report), failures }
    }

    pub(super) fn into_error(self) -> Error {
        Error::Artifacts { report: Box::new(self.report), failures: self.failures }
    }
}

fn leave_out_foreign(resolved: &mut Resolved) {
    let foreign: BTreeMap<Digest, u64> =
        resolved.blobs().into_iter().filter(|blob| blob.is_foreign()).map(|blob| (blob.digest, blob.size)).collect();
    let absent = foreign.into_iter().map(|(digest, size)| Absent::new(digest, Reason::Foreign, size));
    resolved.absent.extend(absent);
}

/// The blob that `holder` is about, as it is named there.
fn named(artifacts: &[PlannedArtifact], (artifact, nth): Holder) -> &Descriptor {
    &artifacts[artifact as usize].blobs[nth as usize]
}

fn holders_of(artifacts: &[PlannedArtifact]) -> Vec<Holder> {
    let of = |(at, artifact): (u32, &PlannedArtifact)| (0..).take(artifact.blobs.len()).map(move |nth| (at, nth));
    let mut all: Vec<Holder> = (0..).zip(artifacts).flat_map(of).collect();
    let key = |holder: Holder| (&named(artifacts, holder).digest, holder);
    all.sort_unstable_by(|&a, &b| key(a).cmp(&key(b)));
    all
}

fn contents_of(artifacts: &[PlannedArtifact]) -> Contents {
    let mut roots = Vec::new();
    let mut attached = Vec::new();
    let mut manifests = HashMap::new();
    let mut absent = BTreeMap::new();
    let mut present = HashSet::new();
    for PlannedArtifact { resolved, blobs, .. } in artifacts {
        roots.push(Root { reference: resolved.reference.clone(), descriptor: resolved.root.clone() });
        for (tag, descriptor) in &resolved.tagged {
            let name = Name::Tag(tag.clone());
            let reference = resolved.reference.context().named(&name);
            roots.push(Root { reference, descriptor: descriptor.clone() });
        }
        let repository = resolved.reference.context().to_string();
        attached.extend(
            resolved.attached.iter().map(|one| Attached { repository: repository.clone(), descriptor: one.clone() }),
        );
        manifests.extend(resolved.manifests.iter().map(|(digest, manifest)| (*digest, manifest.clone())));
        absent.extend(resolved.absent.iter().map(|absent| (absent.digest, absent.clone())));
        present.extend(blobs.iter().map(|blob| blob.digest));
    }
    // What one artifact leaves out, another may bring.
    absent.retain(|digest, _| !present.contains(digest) && !manifests.contains_key(digest));
    Contents { index: Index::new(roots, attached), manifests, absent }
}
