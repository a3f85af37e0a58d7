use airlift::{
    pipeline::{
        PipelineState, RunContext, TrustContext,
        trigger::{self, Options, WatchEvent},
    },
    progress::Progress,
    trust::TrustFile,
};
use jiff::{Timestamp, Unit};
use tokio_util::sync::CancellationToken;

use crate::{args::watch::Args, context::Context, failure::CommandError, mistake::Mistake, output, runtime, signal};

/// The shortest time between two listings.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(200);

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let state = PipelineState::open(&args.state.clone().map_or_else(PipelineState::default_dir, Ok)?)?;
    let mut storage = context.storage();
    storage.state = Some(state.dir().join("uploads"));
    let options = Options { interval: args.interval.max(SHORTEST), runs: args.runs.into(), grace: args.grace };
    // Runs record their progress in the state. Bars of many parallel runs would be unreadable.
    let progress = Progress::default();
    if let Some(path) = &args.trust {
        // A mistake in it is told now, and not at the first bundle.
        TrustFile::open(path)?;
    }
    let with = RunContext {
        registry: context.settings(args.jobs)?,
        storage,
        progress,
        jobs: args.jobs.count(),
        small_jobs: args.jobs.small(),
        trust: TrustContext {
            file: args.trust.clone(),
            record: args.record.record.clone(),
            state: state.dir().to_owned(),
        },
    };
    let json = context.json();
    let status = context.shared_status();
    let tell = move |told: &WatchEvent<'_>| {
        if json {
            // If the reader has gone, there is no other place to report it.
            let _ = output::print(output::json::line(told).as_bytes());
        } else {
            status.say(&format!("{} {}", whole_seconds(Timestamp::now()), line(told)));
        }
    };
    runtime::run_to_end(async {
        let first = signal::received();
        let stop = CancellationToken::new();
        let watching = trigger::watch(&state, options, with, tell, stop.clone());
        let signals = async {
            let name = first.await;
            stop.cancel();
            let name = match name {
                Ok(_) => signal::received().await,
                error => error,
            };
            name.map_or_else(
                |source| CommandError::from(Mistake::Runtime { source }),
                |signal| Mistake::Interrupted { signal }.into(),
            )
        };
        tokio::select! {
            ended = watching => Ok(ended?),
            failure = signals => Err(failure),
        }
    })
}

/// An event as a line for people and logs.
fn line(told: &WatchEvent<'_>) -> String {
    match told {
        WatchEvent::Watching { pipeline } => format!("watching {pipeline}"),
        WatchEvent::Recovered { pipeline } => format!("{pipeline}: its storage can be read again"),
        WatchEvent::Began { blob, run, .. } => format!("{blob}: run {run} started"),
        WatchEvent::Ended { blob, run, status, reason, next, .. } => {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let next = next.map(|next| format!("; next try at {}", whole_seconds(next))).unwrap_or_default();
            format!("{blob}: run {run} ended: {}{reason}{next}", status.word())
        }
        WatchEvent::Waiting { blob, why, .. } => format!("{blob}: not complete yet: {why}"),
        WatchEvent::Ignored { blob, .. } => format!("{blob}: not a bundle, ignored"),
        WatchEvent::Trouble { pipeline, blob, token, reason } => {
            let what = blob.map_or_else(|| pipeline.to_string(), str::to_owned);
            format!("warning[{token}]: {what}: {reason}")
        }
        told => format!("{told:?}"),
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}
