use airlift::{
    pipeline::{
        State, Surroundings,
        trigger::{self, Options, Told},
    },
    progress::Progress,
};
use jiff::{Timestamp, Unit};
use tokio_util::sync::CancellationToken;

use crate::{args::watch::Args, context::Context, failure::Failure, mistake::Mistake, output, runtime, signal};

/// The shortest time between two looks, whatever was asked for.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(200);

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let state = State::open(&args.state.clone().map_or_else(State::default_dir, Ok)?)?;
    let mut storage = context.storage();
    storage.state = state.dir().join("uploads");
    let options = Options { interval: args.interval.max(SHORTEST), runs: args.runs.into(), grace: args.grace };
    // Runs tell of themselves in the state; what many of them at once would draw here nobody could read.
    let progress = Progress::default();
    let with = Surroundings { registry: context.settings()?, storage, progress, jobs: args.jobs.count() };
    let json = context.json();
    let status = context.shared_status();
    let tell = move |told: &Told<'_>| {
        if json {
            // A reader that has gone is told by the next write; there is nobody else to tell.
            let _ = output::print(output::json::line(told).as_bytes());
        } else {
            status.say(&line(told));
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
                |source| Failure::from(Mistake::Runtime { source }),
                |signal| Mistake::Interrupted { signal }.into(),
            )
        };
        tokio::select! {
            ended = watching => Ok(ended?),
            failure = signals => Err(failure),
        }
    })
}

/// What happened, for a person or a journal.
fn line(told: &Told<'_>) -> String {
    match told {
        Told::Watching { pipeline } => format!("watching the source of {pipeline}"),
        Told::Recovered { pipeline } => format!("the source of {pipeline} can be looked at again"),
        Told::Began { blob, run, .. } => format!("{blob}: the run {run} begins"),
        Told::Ended { blob, run, status, reason, next, .. } => {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let next = next.map(|next| format!("; again at {}", whole_seconds(next))).unwrap_or_default();
            format!("{blob}: the run {run} ended: {}{reason}{next}", status.word())
        }
        Told::Waiting { blob, why, .. } => format!("{blob}: not whole yet: {why}"),
        Told::Ignored { blob, .. } => format!("{blob}: no bundle, left alone"),
        Told::Trouble { pipeline, blob, token, reason } => {
            let what = blob.map_or_else(|| pipeline.to_string(), str::to_owned);
            format!("warning[{token}]: {what}: {reason}; it is tried again")
        }
        told => format!("{told:?}"),
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}
