//! The watch of one pipeline: receives file system notices of a local folder, lists any source at each interval, and starts
//! one import job for each new bundle.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    context::WatchContext,
    event::WatchEvent,
    import_job::{ImportJob, JobOutcome, tell_end},
    landed::{Landed, SeenBundle},
    notice::{Notice, Notices},
    source::{WatchedSource, may_be_bundle},
    writers::Writers,
};
use crate::files::{self, blocking::off_reactor};
use crate::pipeline::{
    error::{Error, Result},
    resource::{ImportPipeline, Resource, ResourceId},
    run,
    state::Record,
};
use crate::storage;

/// Runs of one pipeline at once: a large bundle must not keep the small ones waiting, nor one pipeline the others.
const RUNS: usize = 2;

/// The watch of one pipeline.
pub(super) struct Watcher {
    shared: Arc<WatchContext>,
    pipeline: ImportPipeline,
    id: ResourceId,
    landed: Landed,
    /// What is known of each name.
    known: HashMap<String, SeenBundle>,
    /// Names that are being looked at or imported.
    flying: HashSet<String>,
    /// Names that must be looked at again when they have landed.
    stirred: HashSet<String>,
    /// First volumes of sets of which another file has changed, and what stood for the set when that was seen.
    led: HashMap<String, String>,
    writers: Arc<Writers>,
    slots: Arc<Semaphore>,
    source: Option<Arc<WatchedSource>>,
    notices: Option<Notices>,
    /// Whether it was announced that the watch has begun.
    told: bool,
    /// Whether the runs that were killed after they had removed their bundle are concluded.
    concluded: bool,
    tell_end: mpsc::UnboundedSender<(String, JobOutcome)>,
    ended: mpsc::UnboundedReceiver<(String, JobOutcome)>,
}

impl Watcher {
    pub(super) async fn open(shared: Arc<WatchContext>, pipeline: ImportPipeline) -> Result<Self> {
        let id = Resource::Import(pipeline.clone()).id();
        let landed = Landed::open(shared.state.clone(), &id).await?;
        let known = landed.all().await?;
        let (tell_end, ended) = mpsc::unbounded_channel();
        Ok(Self {
            shared,
            pipeline,
            id,
            landed,
            known,
            flying: HashSet::new(),
            stirred: HashSet::new(),
            led: HashMap::new(),
            writers: Arc::default(),
            slots: Arc::new(Semaphore::new(RUNS)),
            source: None,
            notices: None,
            told: false,
            concluded: false,
            tell_end,
            ended,
        })
    }

    /// Watches until it is stopped. What flies then flies on.
    pub(super) async fn watch(mut self, stop: CancellationToken) {
        let mut ticks = interval(self.shared.options.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((name, outcome)) = self.ended.recv() => self.landed(name, outcome).await,
                notice = heard(&mut self.notices) => self.hear(notice).await,
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// Looks at everything in the source.
    async fn look(&mut self) {
        if let Err(error) = self.try_look().await {
            // The next look begins anew: a secret may have been renewed, a folder made.
            (self.source, self.notices) = (None, None);
            self.shared.trouble(&self.id, None, &error);
        } else {
            self.shared.well(&self.id);
            if !std::mem::replace(&mut self.told, true) {
                self.shared.tell(&WatchEvent::Watching { pipeline: &self.id });
            }
        }
    }

    async fn try_look(&mut self) -> Result<()> {
        let source = self.source().await?;
        let (there, unreadable) = source.list().await?;
        for error in unreadable {
            let what = match &error {
                storage::Error::File(files::Error::Read { path, .. }) => path.display().to_string(),
                error => error.to_string(),
            };
            self.shared.trouble(&self.id, Some(&what), &error.into());
        }
        let names: HashSet<&str> = there.iter().map(|candidate| candidate.name.as_str()).collect();
        if !self.concluded {
            self.conclude(&names).await?;
            self.concluded = true;
        }
        let gone = |name: &&String| !names.contains(name.as_str()) && !self.flying.contains(*name);
        let gone: Vec<String> = self.known.keys().filter(gone).cloned().collect();
        let forgotten = if gone.is_empty() { Ok(()) } else { self.landed.forget(gone.clone()).await };
        if forgotten.is_ok() {
            self.known.retain(|name, _| !gone.contains(name));
        }
        // What has landed does not wait because a state that is full cannot forget what is gone.
        for candidate in there {
            self.consider(candidate.name, &candidate.version, &source);
        }
        forgotten
    }

    /// Ends the runs whose process was killed between the removal of their bundle and their own end: nothing in the source
    /// leads to them any more.
    async fn conclude(&self, there: &HashSet<&str>) -> Result<()> {
        let (state, id) = (self.shared.state.clone(), self.id.clone());
        let cut_off = off_reactor(move || state.confirmed_and_interrupted(&id)).await?;
        for Record { run, .. } in cut_off.into_iter().filter(|one| !there.contains(one.run.request.blob.as_str())) {
            let shared = Arc::clone(&self.shared);
            let go_on = move || Handle::current().block_on(run::run(&shared.state, &run, None, &shared.with));
            match off_reactor(go_on).await {
                Ok(ran) => tell_end(&self.shared, &ran.record, None),
                // Another process resumes it.
                Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The open source; a local folder is listened to before it is looked at, so that nothing falls between the two.
    async fn source(&mut self) -> Result<Arc<WatchedSource>> {
        if let Some(source) = &self.source {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(WatchedSource::open(&self.pipeline, &self.shared.with).await?);
        if let Some(path) = source.path() {
            self.writers.forget_all();
            match Notices::of(path) {
                Ok(notices) => self.notices = Some(notices),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the system does not tell of changes here; they are looked for");
                }
            }
        }
        self.source = Some(Arc::clone(&source));
        Ok(source)
    }

    async fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Much => {
                self.writers.forget_all();
                self.look().await;
            }
            Notice::Written(name) => self.writers.writes(&name),
            Notice::Closed(name) => {
                self.writers.closes(&name);
                if may_be_bundle(&name) {
                    self.look_at(name).await;
                }
            }
        }
    }

    /// Looks at one name.
    async fn look_at(&mut self, name: String) {
        let Some(source) = self.source.clone() else { return };
        match source.version(&name).await {
            Ok(Some(version)) => self.consider(name, &version, &source),
            Ok(None) => {}
            Err(error) => self.shared.trouble(&self.id, Some(&name), &error),
        }
    }

    /// Lets a bundle fly, unless it has, or does, or is being written.
    fn consider(&mut self, name: String, version: &str, source: &Arc<WatchedSource>) {
        if self.flying.contains(&name) {
            self.stirred.insert(name);
            return;
        }
        if self.writers.is_written(&name) {
            return;
        }
        let before = self.known.get(&name);
        let settled = before.filter(|before| before.version == version);
        let rests = |known: &SeenBundle| known.done || known.next.is_some_and(|next| next > Timestamp::now());
        let anew = self.led.remove(&name).is_some();
        if !anew && settled.is_some_and(rests) {
            return;
        }
        let job = ImportJob {
            shared: Arc::clone(&self.shared),
            pipeline: self.id.clone(),
            source: Arc::clone(source),
            landed: self.landed.clone(),
            seen: Timestamp::now(),
            writers: Arc::clone(&self.writers),
            anew,
            before: before.cloned(),
            name: name.clone(),
        };
        self.flying.insert(name.clone());
        let quarantined = SeenBundle { version: version.to_owned(), done: true, ..SeenBundle::default() };
        let (of, landed) = (self.id.clone(), self.landed.clone());
        let (slots, shared, ended) = (Arc::clone(&self.slots), Arc::clone(&self.shared), self.tell_end.clone());
        let parking = shared.park.clone();
        self.shared.jobs.spawn(async move {
            let wait = async {
                let own = slots.acquire_owned().await.ok()?;
                Some((own, Arc::clone(&shared.slots).acquire_owned().await.ok()?))
            };
            // After a stop no new runs begin.
            let slot = tokio::select! {
                biased;
                () = shared.stop.cancelled() => None,
                slot = wait => slot,
            };
            let Some(_slot) = slot else { return };
            // On a thread of its own: there are few, and hashing and waiting in a run then does not block the others.
            let done_job = tokio::task::spawn_blocking(move || {
                Handle::current().block_on(async {
                    tokio::select! {
                        biased;
                        () = parking.cancelled() => None,
                        outcome = job.execute() => Some(outcome),
                    }
                })
            });
            let outcome = match done_job.await {
                Ok(Some(outcome)) => Some(outcome),
                // It was asked to stop, which is nothing that the file did.
                Ok(None) => {
                    let _ = landed.end(&name).await;
                    None
                }
                // A file that made the job panic would do so again: it is left alone until it changes, after a restart too.
                Err(_) => {
                    shared.quarantined(&of, &name, "its import failed by a defect of airlift");
                    if let Err(error) = landed.put(&name, &quarantined).await {
                        shared.trouble(&of, Some(&name), &error);
                    }
                    let _ = landed.end(&name).await;
                    Some(JobOutcome::Settled(quarantined))
                }
            };
            if let Some(outcome) = outcome {
                // The receiver is gone once the pipeline has changed.
                let _ = ended.send((name, outcome));
            }
        });
    }

    async fn landed(&mut self, name: String, outcome: JobOutcome) {
        self.flying.remove(&name);
        match outcome {
            JobOutcome::Settled(landing) => {
                let is_there = landing.done;
                self.known.insert(name.clone(), landing);
                if is_there {
                    self.wake().await;
                }
            }
            JobOutcome::PartOf(landing, first) => {
                let mark = landing.mark.clone();
                self.known.insert(name.clone(), landing);
                self.lead_to(first, mark.unwrap_or_default()).await;
            }
            JobOutcome::Again => {}
            JobOutcome::Gone => {
                self.known.remove(&name);
                self.writers.forget(&name);
                if let Err(error) = self.landed.forget(vec![name.clone()]).await {
                    self.shared.trouble(&self.id, Some(&name), &error);
                }
            }
        }
        // What was seen of its set meanwhile, it may have seen itself.
        if let Some(mark) = self.led.remove(&name) {
            self.lead_to(name.clone(), mark).await;
        }
        if self.stirred.remove(&name) {
            self.look_at(name).await;
        }
    }

    /// Tries the updates again that wait for another bundle: one has landed.
    async fn wake(&mut self) {
        let waiting = self.known.iter_mut().filter(|(_, known)| known.waits && !known.done);
        let names: Vec<String> = waiting
            .map(|(name, known)| {
                (known.waits, known.next) = (false, None);
                name.clone()
            })
            .collect();
        for name in names {
            self.look_at(name).await;
        }
    }

    /// Has the set of which `first` is the first volume looked at, unless it was looked at as `mark` says it is now.
    async fn lead_to(&mut self, first: String, mark: String) {
        if self.known.get(&first).and_then(|known| known.mark.as_ref()) == Some(&mark) {
            return;
        }
        self.led.insert(first.clone(), mark);
        if !self.flying.contains(&first) {
            self.look_at(first).await;
        }
    }
}

/// The next notice; never, where there are none to come.
async fn heard(notices: &mut Option<Notices>) -> Notice {
    if let Some(listening) = notices {
        match listening.next().await {
            Some(notice) => return notice,
            None => *notices = None,
        }
    }
    std::future::pending().await
}
