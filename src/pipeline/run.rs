//! One run from its beginning to its end: what the state says of it is true at every moment in between.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    context::RunContext,
    error::{Error, Result},
    execute::{self, RunEnd},
    recorder::Recorder,
    resource::{Container, Kind, MAX_ARTIFACTS, PipelineRun, Resource},
    response::{End, Percentage, Response, SourceTrigger, Status, Trigger},
    row::Row,
    state::{Begun, PipelineState, Record},
};
use crate::{files::blocking::off_reactor, storage::Location};

/// How often the progress of a run is written down, where it changes.
const EVERY: Duration = Duration::from_millis(500);

/// A run that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ran {
    /// As it is kept.
    pub record: Record,
    /// Whether it had ended before, and only its stored response is shown.
    pub stored: bool,
}

/// Does a run, or resumes it where its process was killed. One that was done in the same words is not done again.
///
/// A run that fails is not an error: its record says why. `trigger` is when its bundle was seen, if the run was not requested.
///
/// # Errors
/// What keeps it from beginning: its pipeline is not there, another run works on the same bundle, it asks for too many
/// artifacts, the state cannot be written.
pub async fn run(
    state: &PipelineState,
    run: &PipelineRun,
    trigger: Option<Timestamp>,
    with: &RunContext,
) -> Result<Ran> {
    let (kept, mut run) = (state.clone(), run.clone());
    let (pipeline, begun) = off_reactor(move || {
        let pipeline = kept.get(&run.request.pipeline)?;
        check(&pipeline, &mut run)?;
        let begun = kept.begin(&run, at_first(&pipeline, &run, trigger)?)?;
        Ok::<_, Error>((pipeline, begun))
    })
    .await?;
    let active = match begun {
        Begun::Stored(record) => return Ok(Ran { record: *record, stored: true }),
        Begun::New(active) => active,
    };
    let recorder = Arc::new(Recorder::before(with.progress.clone()));
    let row = Row::new(state.clone(), active.record.clone());
    let ended = {
        let work = execute::execute(&pipeline, &row, &recorder, with);
        let notes = keep_notes(row.clone(), Arc::clone(&recorder));
        tokio::select! {
            ended = work => ended,
            () = notes => unreachable!("notes are kept until the run has ended"),
        }
    };
    let kind = pipeline.kind();
    row.note(move |response| conclude(response, kind, &recorder, ended)).await?;
    // The lock goes only now that the row says how it ended.
    drop(active);
    Ok(Ran { record: row.record(), stored: false })
}

/// Holds a run against its pipeline, and fills in what follows from that.
///
/// # Errors
/// What [`run`] would refuse for reasons of the two alone.
pub fn check(pipeline: &Resource, run: &mut PipelineRun) -> Result<()> {
    let (limit, container) = match pipeline {
        Resource::Export(pipeline) => (pipeline.max_artifacts, &pipeline.target),
        Resource::Import(pipeline) => (MAX_ARTIFACTS, &pipeline.source),
        Resource::Run(_) => return Err(Error::NotFound { id: run.request.pipeline.clone() }),
    };
    let count = run.request.artifacts.len();
    if count > limit {
        return Err(Error::TooManyArtifacts { count, limit });
    }
    let own = container.kind.blob_type();
    if let Some(said) = run.request.blob_type.filter(|said| *said != own) {
        let side = if pipeline.kind() == Kind::ImportPipeline { "source" } else { "target" };
        let path = format!("properties.request.{side}.type");
        let problem = format!("is {said}, and the pipeline's container is {}, of {own}", container.kind);
        let what = format!("the run {}", run.name);
        return Err(Error::Invalid { what, problems: vec![super::resource::Problem { path, problem }] });
    }
    run.request.blob_type = Some(own);
    Ok(())
}

fn at_first(pipeline: &Resource, run: &PipelineRun, trigger: Option<Timestamp>) -> Result<Response> {
    let registry = End { kind: "Registry".to_owned(), uri: run.registry.clone() };
    let blob = &run.request.blob;
    let bundle = |container: &Container, place: &Location| End {
        kind: container.kind.blob_type().word().to_owned(),
        uri: place.to_string(),
    };
    let (source, target) = match pipeline {
        Resource::Export(pipeline) => (registry, bundle(&pipeline.target, &pipeline.place(blob)?)),
        Resource::Import(pipeline) => (bundle(&pipeline.source, &pipeline.source.location(blob)?), registry),
        Resource::Run(_) => (registry.clone(), registry),
    };
    Ok(Response {
        status: Status::Running,
        imported_artifacts: Vec::new(),
        progress: Percentage::default(),
        start_time: Timestamp::now(),
        finish_time: None,
        source,
        target,
        catalog_digest: None,
        trigger: trigger.map(|timestamp| Trigger { source_trigger: SourceTrigger { timestamp } }),
        pipeline_run_error_message: None,
        error_token: None,
        confirmed: false,
        artifacts: Vec::new(),
        bytes_moved: 0,
        bytes_reused: 0,
        retries: 0,
        resumed: 0,
    })
}

/// Writes down how far the run is, for other processes. Never ends by itself.
async fn keep_notes(row: Row, recorder: Arc<Recorder>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut noted, mut told) = ((0, 0), false);
    loop {
        ticks.tick().await;
        let (percentage, retries) = (recorder.percentage(), recorder.retries());
        if std::mem::replace(&mut noted, (percentage, retries)) == (percentage, retries) {
            continue;
        }
        let note = move |response: &mut Response| {
            response.progress = Percentage { percentage };
            response.retries = retries;
        };
        // The run is worth more than the notes of it: only its end must be written.
        if let Err(error) = row.note(note).await
            && !std::mem::replace(&mut told, true)
        {
            tracing::warn!(%error, "the progress of the run cannot be written down");
        }
    }
}

fn conclude(response: &mut Response, kind: Kind, recorder: &Recorder, ended: Result<RunEnd>) {
    response.finish_time = Some(Timestamp::now());
    response.retries = recorder.retries();
    response.progress = Percentage { percentage: recorder.percentage() };
    let report = match &ended {
        Ok(RunEnd { report, .. }) => report.as_ref(),
        Err(Error::Transfer(error)) => error.report(),
        Err(_) => None,
    };
    if let Some(report) = report {
        response.take(kind, report, |repository| recorder.retries_of(repository));
    }
    match ended {
        Ok(RunEnd { report, catalog_digest }) => {
            response.catalog_digest = catalog_digest.map(|digest| digest.to_string());
            response.progress = Percentage { percentage: 100 };
            response.status = Status::Succeeded;
            if report.is_some_and(|report| report.failed()) {
                response.partly();
            }
        }
        Err(error) => response.fail(&error),
    }
}
