//! What an import will do: every artifact with its name in the target, and what the target has of it. Nothing is pushed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{
    super::{
        error::Error,
        failure::{Cause, Failure, Side},
        items::{ImportItem, items},
        report::{Outcome, Report},
        shards::Shard,
        supply::ArtifactSupply,
    },
    request::Request,
};
use crate::{
    bundle::volume::deal,
    content::{self, Target, Targets},
    oci::{Descriptor, Digest, Name, Repository},
    progress::{Event, Phase, Progress},
};

/// Questions that are made ready at once.
const QUESTIONS: usize = 8192;

/// What an import will do.
pub struct ImportPlan {
    pub(super) items: Vec<ImportItem>,
    pub(super) supplies: Vec<Arc<dyn ArtifactSupply>>,
    /// What the target has of the blobs, by repository.
    pub(super) present: HashMap<Repository, HashSet<Digest>>,
    /// By blob that a delta leaves to a repository which lacks it, a repository of the target that has it.
    pub(super) holders: HashMap<(Repository, Digest), Repository>,
    /// Items whose tag, or digest where they have none, names the right manifest already.
    pub(super) in_place: HashSet<usize>,
    /// Of those whose tag is in place, the items of which all that is attached is there too.
    pub(super) attached_in_place: HashSet<usize>,
    pub(super) failures: Vec<Failure>,
    pub(super) report: Report,
    pub(super) bytes: u64,
    pub(super) bytes_present: u64,
    /// Questions to the target at once.
    pub(super) at_once: usize,
    /// Whether artifacts are published once their blobs are there; one of several machines only pushes blobs.
    pub(super) publishes: bool,
}

impl ImportPlan {
    /// What is known of every artifact, with its name in the target.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Artifacts that cannot be imported, and why.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Blob bytes that the target should have in the end, each blob once a repository, and how many it has.
    pub const fn totals(&self) -> (u64, u64) {
        (self.bytes, self.bytes_present)
    }

    /// What observers see of it.
    pub(super) fn planned(&self) -> Event {
        let blobs = self.items.iter().map(|item| item.blobs.len() as u64).sum();
        Event::Planned { blobs, bytes: self.bytes, present: self.bytes_present }
    }

    fn into_error(self) -> Error {
        Error::Artifacts { report: Box::new(self.report), failures: self.failures }
    }

    /// How many blobs it is about, each once.
    pub(super) fn blobs(&self) -> u64 {
        let blobs = self.items.iter().flat_map(|item| &item.blobs).map(|blob| blob.digest);
        blobs.collect::<HashSet<_>>().len() as u64
    }

    /// Asks the target what it has of the artifacts in `supplies`; of a `shard` only what that machine pushes.
    pub(in crate::transfer) async fn make(
        targets: &dyn Targets,
        supplies: Vec<Arc<dyn ArtifactSupply>>,
        request: &Request,
        shard: Option<Shard>,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let (mut items, warnings) = items(&supplies, &request.renaming(), request.rewrite_foreign)?;
        if let Some(shard) = shard {
            keep_share(&mut items, shard);
        }
        for warning in &warnings {
            progress.tell(Event::Warned(warning.clone()));
        }
        let artifacts = items.iter().map(outcome).collect();
        let report = Report { artifacts, warnings, ..Report::default() };
        progress.tell(Event::Phase(Phase::Planning));
        let mut plan = Self {
            items,
            supplies,
            present: HashMap::new(),
            holders: HashMap::new(),
            in_place: HashSet::new(),
            attached_in_place: HashSet::new(),
            failures: Vec::new(),
            report,
            bytes: 0,
            bytes_present: 0,
            at_once: request.small_jobs.max(1),
            publishes: shard.is_none(),
        };
        plan.ask_tags(targets, request).await;
        plan.ask_children(targets, request).await;
        plan.ask_attached(targets).await;
        plan.ask_blobs(targets, request).await;
        plan.report.fail(&plan.failures);
        if !plan.failures.is_empty() && !request.continue_on_errors {
            return Err(plan.into_error());
        }
        Ok(plan)
    }
}

/// Leaves to `items` the blobs that machine `shard` pushes: the largest first, each to the machine that has least so far. A blob
/// that several repositories need is of one machine, which mounts it.
fn keep_share(items: &mut [ImportItem], shard: Shard) {
    let all: BTreeMap<Digest, u64> =
        items.iter().flat_map(|item| &item.blobs).map(|blob| (blob.digest, blob.size)).collect();
    let mut all: Vec<(Digest, u64)> = all.into_iter().collect();
    all.sort_by_key(|&(_, size)| Reverse(size));
    let machines = deal(all.iter().map(|&(_, size)| size), shard.count);
    let own: HashSet<Digest> = all
        .iter()
        .zip(machines)
        .filter(|(_, machine)| *machine == shard.index)
        .map(|((digest, _), _)| *digest)
        .collect();
    for item in items {
        item.blobs.retain(|blob| own.contains(&blob.digest));
        // What a delta leaves to the target is for the run that publishes.
        item.assumed.clear();
    }
}

fn outcome(item: &ImportItem) -> Outcome {
    let root = item.root().digest();
    Outcome {
        target: Some(item.target.clone()),
        digest: Some(item.digest),
        rewritten: (root != item.digest).then_some(root),
        bytes: item.bytes(),
        attached: item.attached.len() as u64,
        ..Outcome::unknown(item.reference.clone())
    }
}

impl ImportPlan {
    /// Finds the tags that are in place, and those that may not be moved.
    async fn ask_tags(&mut self, targets: &dyn Targets, request: &Request) {
        let asking = self.items.iter().enumerate().map(|(at, item)| {
            let target = targets.target(item.target.context());
            async move { (at, target.head(&item.target.name()).await) }
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffered(self.at_once);
        let mut failures = Vec::new();
        while let Some((at, answer)) = answers.next().await {
            let item = &self.items[at];
            let wanted = item.root().digest();
            let cause = match (answer, item.target.tag()) {
                (Ok(Some(found)), _) if found == wanted => {
                    self.in_place.insert(at);
                    continue;
                }
                (Ok(Some(found)), Some(tag)) if !request.overwrite_tags => {
                    Cause::TagExists { repository: item.target.context().to_string(), tag: tag.clone(), found, wanted }
                }
                (Ok(_), _) => continue,
                (Err(error), _) => error.into(),
            };
            failures.push(Failure { artifact: item.reference.clone(), side: Side::Target, cause });
        }
        drop(answers);
        self.failures.extend(failures);
    }

    /// Takes those off the list of tags in place that lack a child of their index. An import of fewer platforms gave such a tag,
    /// at a registry that accepts an index without all of its children.
    async fn ask_children(&mut self, targets: &dyn Targets, request: &Request) {
        let items = &self.items;
        let indexes = self.in_place.iter().filter(|&&at| items[at].manifests.len() > 1).map(|&at| {
            let place = targets.target(items[at].target.context());
            async move {
                let is_whole = !request.check_blobs && place.is_whole(&items[at].root().digest()).await;
                (at, place, is_whole)
            }
        });
        let indexes: Vec<_> = indexes.collect();
        let doubtful: Vec<_> = stream::iter(indexes).buffer_unordered(self.at_once).collect().await;
        let doubtful = doubtful.into_iter().filter(|(_, _, is_whole)| !is_whole);
        let asking = doubtful.flat_map(|(at, place, _)| {
            let (_, children) = items[at].manifests.split_last().expect("an artifact has at least its root");
            children.iter().map(move |child| {
                let (place, name) = (Arc::clone(&place), Name::Digest(child.digest()));
                async move { (at, place.head(&name).await) }
            })
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffer_unordered(self.at_once);
        let (mut lacking, mut failures) = (HashSet::new(), BTreeMap::new());
        while let Some((at, answer)) = answers.next().await {
            match answer {
                Ok(Some(_)) => {}
                Ok(None) => drop(lacking.insert(at)),
                Err(error) => drop(failures.entry(at).or_insert(error)),
            }
        }
        drop(answers);
        self.in_place.retain(|at| !lacking.contains(at) && !failures.contains_key(at));
        self.failures.extend(failures.into_iter().map(|(at, error)| Failure {
            artifact: self.items[at].reference.clone(),
            side: Side::Target,
            cause: error.into(),
        }));
    }

    /// Whether the target has a blob in a repository.
    pub(super) fn is_present(&self, repository: &Repository, blob: &Digest) -> bool {
        self.present.get(repository).is_some_and(|present| present.contains(blob))
    }

    /// Whether all of an item but what is attached to it is in the target: its tag is right, and tags come last.
    pub(super) fn is_complete(&self, at: usize) -> bool {
        self.in_place.contains(&at) && self.items[at].target.tag().is_some()
    }

    /// Finds the complete items to which all is attached that should be. An earlier run may have left that out.
    async fn ask_attached(&mut self, targets: &dyn Targets) {
        let complete = (0..self.items.len()).filter(|&at| self.is_complete(at));
        let asking: Vec<_> = complete
            .map(|at| {
                let item = &self.items[at];
                let target = targets.target(item.target.context());
                async move { (at, has_attached(item, &*target).await) }
            })
            .collect();
        let answers: Vec<_> = stream::iter(asking).buffer_unordered(self.at_once).collect().await;
        // What cannot be told now is asked for once more when it is published, and fails there.
        self.attached_in_place = answers.into_iter().filter(|(_, all)| *all).map(|(at, _)| at).collect();
    }

    /// Asks for every leaf blob, never for interior manifests: an interrupted import must not look finished. Of what is
    /// complete the blobs are there, unless they are to be checked.
    async fn ask_blobs(&mut self, targets: &dyn Targets, request: &Request) {
        let failed: HashSet<_> = self.failures.iter().map(|failure| failure.artifact.clone()).collect();
        let mut places: HashMap<&Repository, Arc<dyn Target>> = HashMap::new();
        let mut wanted: HashMap<(&Repository, Digest), Question> = HashMap::new();
        for (at, item) in self.items.iter().enumerate().filter(|(_, item)| !failed.contains(&item.reference)) {
            let is_known = self.is_complete(at) && self.attached_in_place.contains(&at) && !request.check_blobs;
            let repository = item.target.context();
            let place = Arc::clone(places.entry(repository).or_insert_with(|| targets.target(repository)));
            for blob in item.blobs.iter().chain(&item.assumed) {
                let question = || Question { blob, item, place: Arc::clone(&place), is_known };
                let known = wanted.entry((repository, blob.digest)).or_insert_with(question);
                known.is_known |= is_known;
            }
        }
        let mut present: HashMap<Repository, HashSet<Digest>> = HashMap::new();
        let mut lacking = HashSet::new();
        let mut failures: HashMap<_, Failure> = HashMap::new();
        let (mut bytes, mut bytes_present) = (0, 0);
        // A question that waits for its turn takes more memory than one that is put.
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let asking: Vec<_> = wanted.by_ref().take(QUESTIONS).map(|(key, question)| question.ask(key)).collect();
            let mut answers = stream::iter(asking).buffer_unordered(self.at_once);
            while let Some(((repository, digest), question, answer)) = answers.next().await {
                let Question { blob, item, .. } = question;
                bytes += blob.size;
                // A delta leaves a blob to all repositories of its artifacts.
                let assumed = item.assumed.iter().any(|one| one.digest == blob.digest);
                let error = match answer {
                    Ok(true) => {
                        bytes_present += blob.size;
                        match present.get_mut(repository) {
                            Some(present) => drop(present.insert(digest)),
                            None => drop(present.insert(repository.clone(), HashSet::from([digest]))),
                        }
                        continue;
                    }
                    Ok(false) => {
                        lacking.extend(assumed.then(|| (repository.clone(), digest)));
                        continue;
                    }
                    Err(error) => error,
                };
                let cause = Cause::Blob { digest: blob.digest, size: blob.size, source: Arc::new(error) };
                let artifact = item.reference.clone();
                failures.entry(artifact.clone()).or_insert(Failure { artifact, side: Side::Target, cause });
            }
        }
        let mut failures: Vec<_> = failures.into_values().collect();
        failures.sort_by(|a, b| a.artifact.cmp(&b.artifact));
        self.failures.extend(failures);
        (self.present, self.bytes, self.bytes_present) = (present, bytes, bytes_present);
        if !lacking.is_empty() {
            self.ask_elsewhere(targets, &lacking, &request.renaming()).await;
        }
    }
}

/// Whether the target lists all that is attached to parts of an item: one list a subject.
async fn has_attached(item: &ImportItem, target: &dyn Target) -> bool {
    let mut wanted: HashMap<Digest, Vec<Digest>> = HashMap::new();
    for manifest in &item.attached {
        if let Some(subject) = manifest.subject() {
            wanted.entry(subject.digest).or_default().push(manifest.digest());
        }
    }
    for (subject, manifests) in wanted {
        let Ok(known) = target.referrers(&subject).await else { return false };
        if !manifests.iter().all(|digest| known.iter().any(|one| one.digest == *digest)) {
            return false;
        }
    }
    true
}

/// Whether a blob of an item is in the target.
struct Question<'a> {
    blob: &'a Descriptor,
    item: &'a ImportItem,
    place: Arc<dyn Target>,
    /// It is, without a question.
    is_known: bool,
}

impl Question<'_> {
    async fn ask<K>(self, key: K) -> (K, Self, content::Result<bool>) {
        // Without its `urls`: what may be had elsewhere is not in the target.
        let bare = Descriptor::new(self.blob.media_type.clone(), self.blob.digest, self.blob.size);
        let answer = if self.is_known { Ok(true) } else { self.place.contains(&bare).await };
        (key, self, answer)
    }
}
