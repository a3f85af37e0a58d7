//! The import of one bundle of a watched source, from the check of the file to the end of its run.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    context::WatchContext,
    event::WatchEvent,
    landed::{Landed, SeenBundle},
    source::{Readiness, WatchedSource},
    writers::Writers,
};
use crate::{
    oci::Digest,
    pipeline::{
        error::{Error, Result},
        resource::{PipelineRun, Request, ResourceId},
        response::Status,
        run,
        state::Record,
    },
};

/// The longest wait between two runs of a bundle.
const LONGEST: Duration = Duration::from_hours(1);

/// How many times the process may end, without being asked to, while it reads one version of a file, before the file counts as
/// the reason. A run is not among them: it is bounded and resumed, and may be killed as often as one likes.
const MOST_LOST: u32 = 3;

/// What is said of a bundle that waits for another one.
const AGAIN: &str = "it is tried again when a bundle has landed";

/// Letters of a bundle's name that its runs bear.
const NAMED: usize = 60;

/// The import of one bundle.
#[derive(Clone)]
pub(super) struct ImportJob {
    pub(super) shared: Arc<WatchContext>,
    pub(super) pipeline: ResourceId,
    pub(super) source: Arc<WatchedSource>,
    pub(super) landed: Landed,
    pub(super) name: String,
    /// When it was seen.
    pub(super) seen: Timestamp,
    /// Who writes to what.
    pub(super) writers: Arc<Writers>,
    /// Whether it is looked at again though it has not changed: it is the first volume of a set of which another one has.
    pub(super) anew: bool,
    /// What is known from earlier.
    pub(super) before: Option<SeenBundle>,
}

/// What the watcher does about the file next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobOutcome {
    /// Nothing until the file changes, or until the time of the next try.
    Settled(SeenBundle),
    /// The same, and the set that it is of is to be looked at under the name of its first volume.
    PartOf(SeenBundle, String),
    /// Try again at the next listing.
    Again,
    /// Nothing: the file was removed.
    Gone,
}

impl ImportJob {
    /// Never fails: it reports a problem as an event, and the watcher tries again.
    pub(super) async fn execute(self) -> JobOutcome {
        match self.try_execute().await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.shared.trouble(&self.pipeline, Some(&self.name), &error);
                JobOutcome::Again
            }
        }
    }

    async fn try_execute(&self) -> Result<JobOutcome> {
        let Some(version) = self.source.version(&self.name).await? else { return Ok(JobOutcome::Gone) };
        let same = self.before.as_ref().filter(|before| before.version == version);
        let mut landing = same.cloned().unwrap_or_else(|| SeenBundle { version, ..SeenBundle::default() });
        if landing.done && !self.anew {
            return Ok(JobOutcome::Settled(landing));
        }
        (landing.done, landing.next, landing.waits) = (false, None, false);
        let imported = self.before.as_ref().filter(|before| before.done).and_then(|before| before.content.as_deref());
        if self.landed.begin(&self.name, &landing.version).await? >= MOST_LOST {
            let why = format!("airlift ended {MOST_LOST} times while it read this file: killed, or short of memory");
            self.shared.quarantined(&self.pipeline, &self.name, &why);
            landing = SeenBundle { done: true, content: None, ..landing };
            self.landed.put(&self.name, &landing).await?;
            self.landed.end(&self.name).await?;
            return Ok(JobOutcome::Settled(landing));
        }
        let checked = self.source.check(&self.name, &self.writers, imported).await;
        self.landed.end(&self.name).await?;
        match checked? {
            Readiness::Whole { plan, mark } => {
                let same = imported == Some(plan.as_str());
                (landing.content, landing.mark) = (Some(plan), mark);
                if same {
                    landing.done = true;
                    self.landed.put(&self.name, &landing).await?;
                    return Ok(JobOutcome::Settled(landing));
                }
            }
            Readiness::PartOf { first, plan, mark } => {
                (landing.content, landing.mark, landing.done) = (Some(plan), Some(mark), true);
                self.landed.put(&self.name, &landing).await?;
                return Ok(JobOutcome::PartOf(landing, first));
            }
            Readiness::Wanting(why) => {
                self.shared.tell(&WatchEvent::Waiting { pipeline: &self.pipeline, blob: &self.name, why: &why });
                // Whatever comes of the set will be looked at, and leads to this one. After a restart it is looked at too.
                return Ok(JobOutcome::Settled(SeenBundle { done: true, content: None, ..landing }));
            }
            Readiness::Lacking(why) => {
                let why = format!("{why}; {AGAIN}");
                self.shared.tell(&WatchEvent::Waiting { pipeline: &self.pipeline, blob: &self.name, why: &why });
                // A base that lands wakes it. One that comes to the target in another way is found at the next time.
                landing.attempts += 1;
                landing.next = Some(Timestamp::now() + wait(self.shared.options.interval, landing.attempts));
                landing.waits = true;
                return Ok(JobOutcome::Settled(landing));
            }
            Readiness::Damaged => landing.content = None,
            Readiness::Unfinished(why) => {
                self.shared.tell(&WatchEvent::Waiting { pipeline: &self.pipeline, blob: &self.name, why: &why });
                return Ok(JobOutcome::Again);
            }
            Readiness::Foreign => {
                self.shared.tell(&WatchEvent::Ignored { pipeline: &self.pipeline, blob: &self.name });
                // Not worth a row: it costs a look at the beginning of the file after a restart.
                return Ok(JobOutcome::Settled(SeenBundle { done: true, ..landing }));
            }
            Readiness::Gone => return Ok(JobOutcome::Gone),
        }
        self.run(landing).await
    }

    async fn run(&self, mut landing: SeenBundle) -> Result<JobOutcome> {
        let asked = self.asked(&landing);
        self.shared.tell(&WatchEvent::Began { pipeline: &self.pipeline, blob: &self.name, run: &asked.name });
        let ran = match run::run(&self.shared.state, &asked, Some(self.seen), &self.shared.with).await {
            Ok(ran) => ran,
            // Somebody else is at it: their run is as good as ours, and what it does is seen at the next look.
            Err(Error::Busy { .. }) => return Ok(JobOutcome::Again),
            Err(error) => return Err(error),
        };
        let response = &ran.record.response;
        landing.done = response.status == Status::Succeeded;
        if !landing.done {
            landing.attempts += 1;
            landing.next = Some(Timestamp::now() + wait(self.shared.options.interval, landing.attempts));
            landing.waits = response.lacks_base();
        }
        self.landed.put(&self.name, &landing).await?;
        tell_end(&self.shared, &ran.record, landing.next);
        if landing.waits {
            let why = format!("it is an update, and the target lacks a part of its base; {AGAIN}");
            self.shared.tell(&WatchEvent::Waiting { pipeline: &self.pipeline, blob: &self.name, why: &why });
        }
        Ok(JobOutcome::Settled(landing))
    }

    /// The run of this version of the bundle: it has the same name whenever it is asked for, so that an interrupted
    /// one is resumed, and a finished one is not repeated.
    fn asked(&self, landing: &SeenBundle) -> PipelineRun {
        let inner = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let named: String = self.name.chars().map(inner).take(NAMED).collect();
        let what = format!("{}\n{}\n{}", self.pipeline, self.name, landing.version);
        let mark = Digest::sha256(what.as_bytes());
        PipelineRun {
            name: format!("watch-{named}-{}", &mark.hex()[..12]),
            registry: self.pipeline.registry.clone(),
            request: Request {
                pipeline: self.pipeline.clone(),
                artifacts: Vec::new(),
                base: Vec::new(),
                blob_type: None,
                blob: self.name.clone(),
                catalog_digest: None,
            },
            // An identical run that failed would not be done again.
            force_update_tag: (landing.attempts > 0).then(|| format!("attempt-{}", landing.attempts + 1)),
        }
    }
}

/// Reports the end of a run. `next` is the time of the next try.
pub(super) fn tell_end(shared: &WatchContext, record: &Record, next: Option<Timestamp>) {
    let response = &record.response;
    let reason = response.pipeline_run_error_message.as_ref().map(|message| {
        let first = response.artifacts.iter().find_map(|artifact| artifact.reason.as_ref());
        first.map_or_else(|| message.clone(), |first| format!("{message}, the first: {first}"))
    });
    shared.tell(&WatchEvent::Ended {
        pipeline: &record.run.request.pipeline,
        blob: &record.run.request.blob,
        run: &record.run.name,
        status: response.status,
        reason: reason.as_deref(),
        next,
    });
}

/// The wait after a number of failed runs: one interval at first, then twice as long each time.
fn wait(interval: Duration, attempts: u32) -> Duration {
    interval.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_fails_is_left_alone_for_longer_and_longer_and_never_forgotten() {
        let first = Duration::from_secs(15);
        let waits = [1, 2, 3, 8, 9, 100, u32::MAX].map(|attempts| wait(first, attempts).as_secs());
        assert_eq!(waits, [15, 30, 60, 1920, 3600, 3600, 3600]);
    }
}
