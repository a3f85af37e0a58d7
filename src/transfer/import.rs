//! Import: bundle → registry.
//!
//! Per artifact: blobs, then manifests children first, then what is attached, and the tag last. An artifact that is not
//! complete has no tag, whenever the run ends.

mod publish;

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{StreamExt, stream};
use tokio::sync::Mutex;

use super::{
    error::{Cause, Error, Failure, Side},
    execute,
    items::{Item, items},
    opened::Opened,
    report::{Outcome, Report, State, chain},
    target::{Rule, Target},
    verify::verify,
};
use crate::{
    bundle::Reader,
    content::{self, Lookup, Source},
    oci::{Descriptor, Digest},
    progress::{Event, Phase, Progress},
    registry::{Client, Repository},
};

use publish::{Push, publish};

/// Questions to the target at once while planning.
const REQUESTS: usize = 16;

/// What to import, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, and any combination makes sense")]
pub struct Request {
    /// Where to.
    pub to: Target,
    /// Whether the source's host becomes the first part of the repository.
    pub keep_host: bool,
    /// Rewrite rules, the first that matches wins.
    pub map: Vec<Rule>,
    /// Whether tags that point elsewhere are moved.
    pub overwrite_tags: bool,
    /// Import what can be imported.
    pub continue_on_errors: bool,
    /// Make foreign layers distributable; their images get new digests.
    pub rewrite_foreign: bool,
    /// Re-hash the whole bundle before the first push.
    pub verify_first: bool,
    /// Remove the bundles once every artifact is confirmed in the target.
    pub delete_source: bool,
    /// Transfers at once; at least one.
    pub jobs: usize,
}

/// What an import will do.
pub struct Plan {
    items: Vec<Item>,
    bundles: Vec<Reader>,
    /// What the target has of the blobs, by repository.
    present: HashSet<(String, Digest)>,
    /// Items whose tag names the right manifest already.
    in_place: HashSet<usize>,
    failures: Vec<Failure>,
    report: Report,
    bytes: u64,
    bytes_present: u64,
}

impl Plan {
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

    fn into_error(self) -> Error {
        Error::Artifacts { report: Box::new(self.report), failures: self.failures }
    }
}

/// Asks the target what it has of the bundles, whose opening was the phase of resolving. Nothing is pushed.
pub async fn plan(client: &Client, bundles: &[Opened], request: &Request, progress: &Progress) -> Result<Plan, Error> {
    let readers: Vec<Reader> = bundles.iter().map(|bundle| bundle.reader().clone()).collect();
    let (items, warnings) = items(&readers, request)?;
    for warning in &warnings {
        progress.tell(Event::Warned(warning.clone()));
    }
    let artifacts = items.iter().map(outcome).collect();
    let report = Report { artifacts, warnings, ..Report::default() };
    progress.tell(Event::Phase(Phase::Planning));
    let mut plan = Plan {
        items,
        bundles: readers,
        present: HashSet::new(),
        in_place: HashSet::new(),
        failures: Vec::new(),
        report,
        bytes: 0,
        bytes_present: 0,
    };
    plan.ask_tags(client, request).await;
    plan.ask_blobs(client).await;
    plan.report.fail(&plan.failures);
    if !plan.failures.is_empty() && !request.continue_on_errors {
        return Err(plan.into_error());
    }
    Ok(plan)
}

fn outcome(item: &Item) -> Outcome {
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

fn repository(client: &Client, item: &Item) -> Repository {
    client.repository(item.target.registry(), item.target.repository())
}

impl Plan {
    /// Finds the tags that are in place, and those that may not be moved.
    async fn ask_tags(&mut self, client: &Client, request: &Request) {
        let asking = self
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| async move { (at, repository(client, item).head(&item.target.name()).await) });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffered(REQUESTS);
        let mut failures = Vec::new();
        while let Some((at, answer)) = answers.next().await {
            let item = &self.items[at];
            let wanted = item.root().digest();
            let cause = match (answer, item.target.tag()) {
                (Ok(Some(found)), _) if found.digest == wanted => {
                    self.in_place.insert(at);
                    continue;
                }
                (Ok(Some(found)), Some(tag)) if !request.overwrite_tags => Cause::TagExists {
                    repository: item.target.context(),
                    tag: tag.clone(),
                    found: found.digest,
                    wanted,
                },
                (Ok(_), _) => continue,
                (Err(error), _) => error.into(),
            };
            failures.push(Failure { artifact: item.reference.clone(), side: Side::Target, cause });
        }
        drop(answers);
        self.failures.extend(failures);
    }

    /// Asks for every leaf blob, never for interior manifests: an interrupted import must not look finished.
    async fn ask_blobs(&mut self, client: &Client) {
        let failed: HashSet<_> = self.failures.iter().map(|failure| failure.artifact.clone()).collect();
        let items = self.items.iter().filter(|item| !failed.contains(&item.reference));
        let mut wanted: HashMap<(String, Digest), (&Descriptor, &Item)> = HashMap::new();
        for item in items {
            for blob in item.blobs.iter().chain(&item.assumed) {
                wanted.insert((item.target.context(), blob.digest), (blob, item));
            }
        }
        let asking = wanted.into_iter().map(|(key, (blob, item))| async move {
            // Without its `urls`: what may be had elsewhere is not in the target.
            let bare = Descriptor::new(blob.media_type.clone(), blob.digest, blob.size);
            let answer = repository(client, item).contains(&bare).await;
            (key, blob, item, answer)
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffer_unordered(REQUESTS);
        let mut present = HashSet::new();
        let mut failures: HashMap<_, Failure> = HashMap::new();
        let (mut bytes, mut bytes_present) = (0, 0);
        while let Some((key, blob, item, answer)) = answers.next().await {
            bytes += blob.size;
            let assumed = item.assumed.iter().any(|one| one.digest == blob.digest);
            let error = match answer {
                Ok(true) => {
                    bytes_present += blob.size;
                    present.insert(key);
                    continue;
                }
                Ok(false) if !assumed => continue,
                Ok(false) => content::Error::NotFound { what: "a blob that the bundle leaves to the target".into() },
                Err(error) => error,
            };
            let cause = Cause::Blob { digest: blob.digest, size: blob.size, source: Arc::new(error) };
            let artifact = item.reference.clone();
            failures.entry(artifact.clone()).or_insert(Failure { artifact, side: Side::Target, cause });
        }
        drop(answers);
        let mut failures: Vec<_> = failures.into_values().collect();
        failures.sort_by(|a, b| a.artifact.cmp(&b.artifact));
        self.failures.extend(failures);
        (self.present, self.bytes, self.bytes_present) = (present, bytes, bytes_present);
    }
}

/// Imports: verifies every byte on its way, and publishes each artifact as soon as it is complete.
///
/// A run that was stopped is gone on with by the same call: what arrived is not sent again.
pub async fn run(client: &Client, bundles: &[Opened], request: &Request, progress: &Progress) -> Result<Report, Error> {
    if request.verify_first {
        for bundle in bundles {
            prove(bundle.reader(), request.jobs, progress).await?;
        }
    }
    let plan = plan(client, bundles, request, progress).await?;
    progress.tell(Event::Planned {
        blobs: plan.items.iter().map(|item| item.blobs.len() as u64).sum(),
        bytes: plan.bytes,
        present: plan.bytes_present,
    });
    progress.tell(Event::Phase(Phase::Transferring));
    let report = Run::new(plan, client, request, progress).finish().await?;
    if request.delete_source && !report.failed() {
        confirm(client, &report).await?;
        for bundle in bundles {
            bundle.remove().await?;
        }
    }
    Ok(report)
}

/// Re-hashes a whole bundle.
async fn prove(reader: &Reader, jobs: usize, progress: &Progress) -> Result<(), Error> {
    let found = verify(reader, jobs, progress).await?;
    match found.findings.first() {
        None => Ok(()),
        Some(first) => Err(Error::Damaged {
            path: reader.path().to_owned(),
            findings: found.findings.len(),
            first: first.message.clone(),
            code: first.code,
        }),
    }
}

/// Asks the target once more for every artifact, by digest, before a bundle is removed.
async fn confirm(client: &Client, report: &Report) -> Result<(), Error> {
    for outcome in &report.artifacts {
        let (Some(target), Some(digest)) = (&outcome.target, outcome.rewritten.or(outcome.digest)) else { continue };
        let found = client.repository(target.registry(), target.repository()).head(&target.name()).await?;
        if found.is_none_or(|found| found.digest != digest) {
            return Err(content::Error::NotFound { what: format!("{target} with digest {digest}") }.into());
        }
    }
    Ok(())
}

/// A step of the run.
enum Work {
    Push(Box<Push>),
    Publish(usize),
}

/// What came of it.
enum Done {
    Pushed(Descriptor, content::Result<()>),
    /// Whether anything was put there that was not there before.
    Published(usize, Result<bool, Failure>),
}

struct Run<'a> {
    plan: Plan,
    client: &'a Client,
    request: &'a Request,
    progress: &'a Progress,
    moved: Arc<AtomicU64>,
    /// By item, how many of its blobs are not yet in place.
    lacking: Vec<usize>,
    /// By blob, the items that wait for it.
    waiting: HashMap<Digest, Vec<usize>>,
    failed: HashSet<usize>,
    failures: Vec<Failure>,
}

impl<'a> Run<'a> {
    fn new(mut plan: Plan, client: &'a Client, request: &'a Request, progress: &'a Progress) -> Self {
        let failures = std::mem::take(&mut plan.failures);
        let named: HashSet<_> = failures.iter().map(|failure| &failure.artifact).collect();
        let failed = (0..plan.items.len()).filter(|&at| named.contains(&plan.items[at].reference)).collect();
        Self {
            lacking: vec![0; plan.items.len()],
            plan,
            client,
            request,
            progress,
            moved: Arc::default(),
            waiting: HashMap::new(),
            failed,
            failures,
        }
    }

    async fn finish(mut self) -> Result<Report, Error> {
        let work = self.first_steps();
        let (client, progress, moved) = (self.client.clone(), self.progress.clone(), Arc::clone(&self.moved));
        let items: Arc<[Item]> = self.plan.items.clone().into();
        let in_place: Arc<HashSet<usize>> = Arc::new(self.plan.in_place.clone());
        let attaching: Arc<Mutex<()>> = Arc::default();
        let step = |work: Work| {
            let (client, progress, moved) = (client.clone(), progress.clone(), Arc::clone(&moved));
            let (items, in_place, attaching) = (Arc::clone(&items), Arc::clone(&in_place), Arc::clone(&attaching));
            async move {
                match work {
                    Work::Push(push) => {
                        let blob = push.blob.clone();
                        Done::Pushed(blob, push.run(progress, moved).await)
                    }
                    Work::Publish(at) => {
                        let item = &items[at];
                        let target = repository(&client, item);
                        let published = publish(item, &target, in_place.contains(&at), &attaching).await;
                        let failure = |cause: content::Error| Failure {
                            artifact: item.reference.clone(),
                            side: Side::Target,
                            cause: cause.into(),
                        };
                        Done::Published(at, published.map_err(failure))
                    }
                }
            }
        };
        execute::each(work, self.request.jobs, step, |done| self.take_in(done)).await?;
        self.end()
    }

    /// Pushes in the order of the artifacts, so that the first are complete early, but for the blobs that are so large
    /// that they would be alone at the end: they go first. What needs no blob is published at once.
    fn first_steps(&mut self) -> Vec<Work> {
        let mut work = Vec::new();
        let mut pushes: Vec<Push> = Vec::new();
        let mut by_blob: HashMap<Digest, usize> = HashMap::new();
        for (at, item) in self.plan.items.iter().enumerate() {
            if self.failed.contains(&at) {
                continue;
            }
            let context = item.target.context();
            for blob in &item.blobs {
                let place = *by_blob.entry(blob.digest).or_insert_with(|| {
                    let origins: Vec<Arc<dyn Source>> = vec![Arc::new(self.plan.bundles[item.bundle].clone())];
                    pushes.push(Push { blob: blob.clone(), origins, lacking: Vec::new(), holder: None });
                    pushes.len() - 1
                });
                let push = &mut pushes[place];
                if self.plan.present.contains(&(context.clone(), blob.digest)) {
                    push.holder.get_or_insert_with(|| item.target.repository().to_owned());
                    continue;
                }
                self.lacking[at] += 1;
                self.waiting.entry(blob.digest).or_default().push(at);
                if !push.lacking.iter().any(|repository| repository.repository() == item.target.repository()) {
                    push.lacking.push(repository(self.client, item));
                }
            }
            if self.lacking[at] == 0 {
                work.push(Work::Publish(at));
            }
        }
        pushes.retain(|push| !push.lacking.is_empty());
        let alone = pushes.iter().map(|push| push.blob.size).sum::<u64>() / (2 * self.request.jobs.max(1) as u64);
        pushes.sort_by_key(|push| Reverse(if push.blob.size > alone { push.blob.size } else { 0 }));
        work.extend(pushes.into_iter().map(|push| Work::Push(Box::new(push))));
        work
    }

    fn take_in(&mut self, done: Done) -> ControlFlow<(), Vec<Work>> {
        let mut more = Vec::new();
        match done {
            Done::Pushed(blob, Ok(())) => {
                for at in self.waiting.remove(&blob.digest).unwrap_or_default() {
                    self.lacking[at] -= 1;
                    if self.lacking[at] == 0 && !self.failed.contains(&at) {
                        more.push(Work::Publish(at));
                    }
                }
            }
            Done::Pushed(blob, Err(error)) => self.fail_waiting(&blob, error),
            Done::Published(at, Ok(changed)) => {
                let moved = changed || self.plan.items[at].blobs.iter().any(|blob| !self.was_present(at, blob));
                self.plan.report.artifacts[at].state = if moved { State::Done } else { State::AlreadyThere };
                self.progress.tell(Event::Completed { artifact: self.plan.items[at].target.clone() });
            }
            Done::Published(at, Err(failure)) => {
                self.failed.insert(at);
                self.fail(failure);
            }
        }
        if self.failures.is_empty() || self.request.continue_on_errors {
            return ControlFlow::Continue(more);
        }
        ControlFlow::Break(())
    }

    fn was_present(&self, at: usize, blob: &Descriptor) -> bool {
        self.plan.present.contains(&(self.plan.items[at].target.context(), blob.digest))
    }

    /// A blob that cannot be pushed fails every artifact that waits for it.
    fn fail_waiting(&mut self, blob: &Descriptor, error: content::Error) {
        // Damage is found on the way out of the bundle; everything else is said by the target.
        let side = match content::Fault::code(&error).class() {
            content::Class::Unverified => Side::Bundle,
            _ => Side::Target,
        };
        let source = Arc::new(error);
        for at in self.waiting.remove(&blob.digest).unwrap_or_default() {
            if self.failed.insert(at) {
                let cause = Cause::Blob { digest: blob.digest, size: blob.size, source: Arc::clone(&source) };
                let artifact = self.plan.items[at].reference.clone();
                self.fail(Failure { artifact, side, cause });
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        let (artifact, reason) = (failure.artifact.clone(), chain(&failure.cause));
        self.progress.tell(Event::Failed { artifact, reason });
        self.failures.push(failure);
    }

    fn end(self) -> Result<Report, Error> {
        let Self { plan: Plan { mut report, bytes_present, .. }, failures, request, moved, .. } = self;
        report.fail(&failures);
        report.bytes_moved = moved.load(Ordering::Relaxed);
        report.bytes_reused = bytes_present;
        if failures.is_empty() || request.continue_on_errors {
            return Ok(report);
        }
        Err(Error::Artifacts { report: Box::new(report), failures })
    }
}
