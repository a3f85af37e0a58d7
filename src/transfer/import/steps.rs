//! The run of an import: what is pushed when, what is published when it is complete, and what a failure takes with it.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

use super::{
    super::{
        crowd::{self, Crowd},
        error::{Cause, Error, Failure, Side},
        execute,
        items::Item,
        report::{Report, State, chain},
    },
    Plan, Request,
    publish::{Push, publish},
    repository,
};
use crate::{
    bundle,
    content::{self, Source},
    oci::{Descriptor, Digest},
    progress::{Event, Progress},
    registry::Client,
};

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

pub(super) struct Run<'a> {
    plan: Plan,
    client: &'a Client,
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

impl<'a> Run<'a> {
    pub(super) fn new(mut plan: Plan, client: &'a Client, request: &'a Request, progress: &'a Progress) -> Self {
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
            published: HashSet::new(),
            failed,
            failures,
        }
    }

    pub(super) async fn finish(mut self) -> Result<Report, Error> {
        self.fail_orphans();
        let work = self.first_steps();
        let pushed = work.iter().filter_map(|step| match step {
            Work::Push(push) => Some(&push.blob),
            Work::Publish(_) => None,
        });
        let crowd = Crowd::new(self.request.jobs, pushed, self.progress);
        let (client, progress, moved) = (self.client.clone(), crowd.progress(), Arc::clone(&self.moved));
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
        let publishes = execute::at_once(self.request.jobs);
        let begins = |work: &Work, running| match work {
            Work::Push(push) => crowd.admits(&push.blob, running),
            Work::Publish(_) => publishes(work, running),
        };
        let done = |done| {
            if let Done::Pushed(blob, _) = &done {
                crowd.leaves(&blob.digest);
            }
            self.take_in(done)
        };
        execute::each(work, begins, step, done).await?;
        self.end()
    }

    /// Pushes blobs in the order of [`crowd::order`]. What needs no blob is published at once.
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
                if !self.plan.bundles[item.bundle].has(&blob.digest) {
                    // It is in a volume that is not here; the artifact waits for it.
                    self.plan.report.lacking.insert(blob.digest);
                    continue;
                }
                self.waiting.entry(blob.digest).or_default().push(at);
                if !push.lacking.iter().any(|repository| repository.repository() == item.target.repository()) {
                    push.lacking.push(repository(self.client, item));
                }
            }
            if self.is_ready(at) {
                work.push(Work::Publish(at));
            }
        }
        pushes.retain(|push| !push.lacking.is_empty());
        crowd::order(&mut pushes, |push| push.blob.size);
        work.extend(pushes.into_iter().map(|push| Work::Push(Box::new(push))));
        work
    }

    fn take_in(&mut self, done: Done) -> ControlFlow<(), Vec<Work>> {
        let mut more = Vec::new();
        match done {
            Done::Pushed(blob, Ok(())) => {
                for at in self.waiting.remove(&blob.digest).unwrap_or_default() {
                    self.lacking[at] -= 1;
                    if self.is_ready(at) {
                        more.push(Work::Publish(at));
                    }
                }
            }
            Done::Pushed(blob, Err(error)) => self.fail_waiting(&blob, error),
            Done::Published(at, Ok(changed)) => {
                let moved = changed || self.plan.items[at].blobs.iter().any(|blob| !self.was_present(at, blob));
                self.plan.report.artifacts[at].state = if moved { State::Done } else { State::AlreadyThere };
                self.progress.tell(Event::Completed { artifact: self.plan.items[at].target.clone() });
                // Whoever waited for this one alone; with a second subject it has begun already.
                let waits = |&one: &usize| {
                    let after = &self.plan.items[one].after;
                    after.contains(&at) && !after.iter().any(|one| self.published.contains(one))
                };
                let freed: Vec<usize> = (0..self.plan.items.len()).filter(waits).collect();
                self.published.insert(at);
                more.extend(freed.into_iter().filter(|&one| self.is_ready(one)).map(Work::Publish));
            }
            Done::Published(at, Err(failure)) => {
                self.failed.insert(at);
                self.fail(failure);
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
        self.lacking[at] == 0 && anchored && !self.failed.contains(&at)
    }

    /// Fails what is attached to nothing but failed artifacts, and what is attached to that.
    fn fail_orphans(&mut self) {
        loop {
            let orphan = |(at, item): (usize, &Item)| {
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
        self.plan.present.contains(&(self.plan.items[at].target.context(), blob.digest))
    }

    /// A blob that cannot be pushed fails every artifact that waits for it.
    fn fail_waiting(&mut self, blob: &Descriptor, error: content::Error) {
        // The target is a registry; what is no registry's failure comes from the bundle, its file or its storage.
        let code = content::Fault::code(&error);
        let (side, error) = match code.class() {
            content::Class::Unverified => (Side::Bundle, self.in_bundle(error)),
            _ if code.token().starts_with("registry.") => (Side::Target, error),
            _ => (Side::Bundle, error),
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

    /// The error as the bundle itself would put it, with the place in the file.
    fn in_bundle(&self, error: content::Error) -> content::Error {
        let offset = |digest| self.plan.bundles.iter().find_map(|bundle| bundle.offset(digest));
        match error {
            content::Error::DigestMismatch { expected, actual } => {
                bundle::Error::DigestMismatch { expected, actual, offset: offset(&expected).unwrap_or(0) }.into()
            }
            content::Error::SizeMismatch { digest, expected, actual } => {
                bundle::Error::SizeMismatch { digest, expected, actual }.into()
            }
            other => other,
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
