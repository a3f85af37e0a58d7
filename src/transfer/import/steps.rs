//! The run of an import: what is pushed when, what is published when it is complete, and what a failure takes with it.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt;

use super::{
    super::{
        error::Error,
        execute::{self, BrokenMove, Meter},
        failure::{Cause, Failure, Side},
        items::ImportItem,
        report::{ArtifactState, Report, chain},
        scheduler::{self, Scheduler},
    },
    plan::ImportPlan,
    publish::{BlobPush, NamedTarget, Publisher},
    request::Request,
};
use crate::{
    content::{self, Targets},
    oci::{Descriptor, Digest, Repository},
    progress::{Event, Progress},
};

/// A step of the run.
enum Work {
    Push(Box<BlobPush>),
    Publish(usize),
}

/// What came of it.
enum Done {
    /// A blob of one of the supplies.
    Pushed(Descriptor, usize, Result<(), Box<BrokenMove>>),
    /// Whether anything was put there that was not there before.
    Published(usize, content::Result<bool>),
}

pub(super) struct ImportRun<'a> {
    plan: ImportPlan,
    targets: &'a dyn Targets,
    request: &'a Request,
    progress: &'a Progress,
    moved: Arc<AtomicU64>,
    /// By item, how many of its blobs are not yet in place.
    lacking: Vec<usize>,
    /// By blob, the items that wait for it.
    waiting: HashMap<Digest, Vec<usize>>,
    published: HashSet<usize>,
    failed: HashSet<usize>,
    failures: Vec<Failure>,
}

impl<'a> ImportRun<'a> {
    pub(super) fn new(
        mut plan: ImportPlan,
        targets: &'a dyn Targets,
        request: &'a Request,
        progress: &'a Progress,
    ) -> Self {
        let failures = std::mem::take(&mut plan.failures);
        let named: HashSet<_> = failures.iter().map(|failure| &failure.artifact).collect();
        let failed = (0..plan.items.len()).filter(|&at| named.contains(&plan.items[at].reference)).collect();
        Self {
            lacking: vec![0; plan.items.len()],
            plan,
            targets,
            request,
            progress,
            moved: Arc::default(),
            waiting: HashMap::new(),
            published: HashSet::new(),
            failed,
            failures,
        }
    }

    pub(super) async fn finish(mut self) -> Result<Report, Error> {
        self.fail_orphans();
        let work = self.first_steps();
        let pushed = work.iter().filter_map(|step| match step {
            Work::Push(push) => Some(push.blob.size),
            Work::Publish(_) => None,
        });
        let scheduler = Scheduler::new(self.request.jobs, self.request.small_jobs, pushed.sum());
        let meter = Meter::new(self.progress, &self.moved).scheduled(&scheduler);
        let (targets, publisher) = (self.targets, Arc::new(Publisher::new(self.request.small_jobs)));
        let items: Arc<[ImportItem]> = self.plan.items.clone().into();
        let complete: HashSet<usize> = (0..items.len()).filter(|&at| self.plan.is_complete(at)).collect();
        let attached = self.plan.attached_in_place.clone();
        let supplies = self.plan.supplies.clone();
        let step = |work: Work| match work {
            Work::Push(push) => {
                let (meter, supply) = (meter.clone(), push.supply);
                let blob = supplies[supply].described(&push.blob);
                let origins = match &push.holder {
                    Some(holder) if push.is_assumed => targets.source(holder).into_iter().collect(),
                    _ => supplies[supply].origins(&blob.digest),
                };
                async move {
                    let outcome = push.run(&blob, origins, &meter).await.map_err(Box::new);
                    Done::Pushed(blob, supply, outcome)
                }
                .boxed()
            }
            Work::Publish(at) => {
                let (items, publisher, is_complete) =
                    (Arc::clone(&items), Arc::clone(&publisher), complete.contains(&at));
                let target = targets.target(items[at].target.context());
                let is_done = is_complete && attached.contains(&at);
                async move {
                    let outcome =
                        if is_done { Ok(false) } else { publisher.publish(&items[at], target, is_complete).await };
                    Done::Published(at, outcome)
                }
                .boxed()
            }
        };
        // Publishing is small requests that wait for answers: more of them at once than transfers.
        let at_once = self.request.small_jobs.max(1);
        let begins = |work: &Work, running: usize| match work {
            Work::Push(push) => scheduler.admits(push.blob.digest, push.blob.size),
            Work::Publish(_) => running.saturating_sub(scheduler.running()) < at_once,
        };
        let done = |done| {
            if let Done::Pushed(blob, ..) = &done {
                scheduler.leaves(&blob.digest);
            }
            self.take_in(done)
        };
        execute::each(work, begins, step, done).await?;
        self.end()
    }

    /// Pushes blobs in the order of [`scheduler::order`]. What needs no blob is published at once.
    fn first_steps(&mut self) -> Vec<Work> {
        let mut work = Vec::new();
        let mut pushes: Vec<BlobPush> = Vec::new();
        let mut by_blob: HashMap<Digest, usize> = HashMap::new();
        let mut named: HashMap<&Repository, Arc<NamedTarget>> = HashMap::new();
        let lacking = self.lacking_anywhere();
        for (at, item) in self.plan.items.iter().enumerate() {
            if self.failed.contains(&at) {
                continue;
            }
            let context = item.target.context();
            let targets = self.targets;
            let to =
                Arc::clone(named.entry(context).or_insert_with(|| {
                    Arc::new(NamedTarget { name: context.clone(), target: targets.target(context) })
                }));
            let push_to = |push: &mut BlobPush| {
                if !push.lacking.iter().any(|one| one.name == *context) {
                    push.lacking.push(Arc::clone(&to));
                }
            };
            for blob in item.blobs.iter().filter(|blob| lacking.contains(&blob.digest)) {
                let at_supply = item.supply_of(&blob.digest);
                let supply = &self.plan.supplies[at_supply];
                let place = *by_blob.entry(blob.digest).or_insert_with(|| {
                    pushes.push(BlobPush {
                        blob: blob.clone(),
                        lacking: Vec::new(),
                        holder: None,
                        supply: at_supply,
                        is_assumed: false,
                    });
                    pushes.len() - 1
                });
                let push = &mut pushes[place];
                if self.plan.is_present(context, &blob.digest) {
                    push.holder.get_or_insert_with(|| context.clone());
                    continue;
                }
                self.lacking[at] += 1;
                if !supply.has(&blob.digest) {
                    // It is in a volume that is not here; the artifact waits for it.
                    self.plan.report.lacking.insert(blob.digest);
                    continue;
                }
                self.waiting.entry(blob.digest).or_default().push(at);
                push_to(push);
            }
            for blob in &item.assumed {
                let spot = (context.clone(), blob.digest);
                let Some(holder) = self.plan.holders.get(&spot) else { continue };
                let place = *by_blob.entry(blob.digest).or_insert_with(|| {
                    let (blob, supply) = (blob.clone(), item.supply);
                    pushes.push(BlobPush {
                        blob,
                        lacking: Vec::new(),
                        holder: Some(holder.clone()),
                        supply,
                        is_assumed: true,
                    });
                    pushes.len() - 1
                });
                self.lacking[at] += 1;
                self.waiting.entry(blob.digest).or_default().push(at);
                push_to(&mut pushes[place]);
            }
            if self.is_ready(at) {
                work.push(Work::Publish(at));
            }
        }
        pushes.retain(|push| !push.lacking.is_empty());
        scheduler::order(&mut pushes, |push| push.blob.size);
        work.extend(pushes.into_iter().map(|push| Work::Push(Box::new(push))));
        work
    }

    /// Blobs that a repository lacks: of a hundred thousand that are all there, none needs a step.
    fn lacking_anywhere(&self) -> HashSet<Digest> {
        let items = self.plan.items.iter().flat_map(|item| item.blobs.iter().map(move |blob| (item, blob.digest)));
        items.filter(|(item, blob)| !self.plan.is_present(item.target.context(), blob)).map(|(_, blob)| blob).collect()
    }

    fn take_in(&mut self, done: Done) -> ControlFlow<(), Vec<Work>> {
        let mut more = Vec::new();
        match done {
            Done::Pushed(blob, _, Ok(())) => {
                for at in self.waiting.remove(&blob.digest).unwrap_or_default() {
                    self.lacking[at] -= 1;
                    if self.is_ready(at) {
                        more.push(Work::Publish(at));
                    }
                }
            }
            Done::Pushed(blob, supply, Err(broken)) => self.fail_waiting(&blob, supply, *broken),
            Done::Published(at, Ok(changed)) => {
                let moved = changed || self.plan.items[at].blobs.iter().any(|blob| !self.was_present(at, blob));
                self.plan.report.artifacts[at].state =
                    if moved { ArtifactState::Done } else { ArtifactState::AlreadyThere };
                self.progress.tell(Event::Completed { artifact: self.plan.items[at].target.clone() });
                // Those that waited for this one alone; with a second subject they have begun already.
                let waits = |&one: &usize| {
                    let after = &self.plan.items[one].after;
                    after.contains(&at) && !after.iter().any(|one| self.published.contains(one))
                };
                let freed: Vec<usize> = (0..self.plan.items.len()).filter(waits).collect();
                self.published.insert(at);
                more.extend(freed.into_iter().filter(|&one| self.is_ready(one)).map(Work::Publish));
            }
            Done::Published(at, Err(error)) => {
                self.failed.insert(at);
                let artifact = self.plan.items[at].reference.clone();
                self.fail(Failure { artifact, side: Side::Target, cause: error.into() });
            }
        }
        self.fail_orphans();
        if self.failures.is_empty() || self.request.continue_on_errors {
            return ControlFlow::Continue(more);
        }
        ControlFlow::Break(())
    }

    /// Whether an item may be published: its blobs are in place, and so is what it is attached to.
    fn is_ready(&self, at: usize) -> bool {
        let after = &self.plan.items[at].after;
        let anchored = after.is_empty() || after.iter().any(|one| self.published.contains(one));
        self.plan.publishes && self.lacking[at] == 0 && anchored && !self.failed.contains(&at)
    }

    /// Fails what is attached to nothing but failed artifacts, and what is attached to that.
    fn fail_orphans(&mut self) {
        loop {
            let orphan = |(at, item): (usize, &ImportItem)| {
                let subject = *item.after.first()?;
                let lost = !self.failed.contains(&at) && item.after.iter().all(|one| self.failed.contains(one));
                lost.then(|| (at, self.plan.items[subject].reference.clone()))
            };
            let Some((at, subject)) = self.plan.items.iter().enumerate().find_map(orphan) else { return };
            self.failed.insert(at);
            let cause = Cause::Subject { subject: Box::new(subject) };
            self.fail(Failure { artifact: self.plan.items[at].reference.clone(), side: Side::Target, cause });
        }
    }

    fn was_present(&self, at: usize, blob: &Descriptor) -> bool {
        self.plan.is_present(self.plan.items[at].target.context(), &blob.digest)
    }

    /// A blob that cannot be pushed fails every artifact that waits for it.
    fn fail_waiting(&mut self, blob: &Descriptor, supply: usize, broken: BrokenMove) {
        let supply = &self.plan.supplies[supply];
        let (side, error) = match broken.side {
            Side::Target => (Side::Target, broken.error),
            _ => (supply.side(), supply.explained(broken.error)),
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
        let Self { plan: ImportPlan { mut report, bytes_present, .. }, failures, request, moved, .. } = self;
        report.fail(&failures);
        report.bytes_moved = moved.load(Ordering::Relaxed);
        report.bytes_reused = bytes_present;
        if failures.is_empty() || request.continue_on_errors {
            return Ok(report);
        }
        Err(Error::Artifacts { report: Box::new(report), failures })
    }
}
