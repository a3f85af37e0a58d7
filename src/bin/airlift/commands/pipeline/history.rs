//! The runs that are kept: listed, shown, followed, and removed.

use std::time::Duration;

use airlift::pipeline::{Record, Status, resource::Kind, state::Retention};
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::{show as shown, state, told};
use crate::{
    args::{
        pipeline::Deleted,
        pipeline_run::{Clean, List, Prune, Show},
    },
    context::Context,
    failure::CommandError,
    output::count,
    runtime,
};

/// How often `show --watch` looks.
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn list(args: &List, context: &Context) -> Result<(), CommandError> {
    let listed = &args.listed;
    let found = state(&listed.common)?.runs(listed.registry.as_deref(), args.history).map_err(told::failure)?;
    let documents: Vec<_> = found.iter().map(Record::document).collect();
    shown::many(&documents, Kind::PipelineRun, listed.common.output, context)
}

pub(super) fn show(args: &Show, context: &Context) -> Result<(), CommandError> {
    let named = &args.named;
    let state = state(&named.common)?;
    let look = || state.run(&named.registry, &named.name).map_err(told::failure);
    let record = if args.watch { runtime::run(watched(look, context))? } else { look()? };
    shown::one(&record.document(), named.common.output, context)
}

/// The run once it has ended; until then every change is printed.
async fn watched(look: impl Fn() -> Result<Record, CommandError>, context: &Context) -> Result<Record, CommandError> {
    let mut told = String::new();
    loop {
        let record = look()?;
        let response = &record.response;
        let line = format!("{} {} {} %", record.run.name, response.status.word(), response.progress.percentage);
        if line != told {
            context.status().say(&line);
            told = line;
        }
        if response.status != Status::Running {
            return Ok(record);
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) fn clean(args: &Clean, context: &Context) -> Result<(), CommandError> {
    let listed = &args.listed;
    let gone = state(&listed.common)?.clean(listed.registry.as_deref(), args.dry_run).map_err(told::failure)?;
    removed(&gone.runs, args.dry_run, context)
}

pub(super) fn prune(args: &Prune, context: &Context) -> Result<(), CommandError> {
    let listed = &args.listed;
    // Days of 24 hours; an age that is beyond all time keeps everything.
    let after = args
        .older_than
        .map(|days| Timestamp::now().checked_sub((i64::from(days) * 24).hours()).unwrap_or(Timestamp::MIN));
    let keep = Retention { newest: args.keep, after };
    let state = state(&listed.common)?;
    let gone = state.prune(listed.registry.as_deref(), keep, args.dry_run).map_err(told::failure)?;
    removed(&gone.runs, args.dry_run, context)
}

fn removed(runs: &[String], dry_run: bool, context: &Context) -> Result<(), CommandError> {
    context.answer(&json!({ "runs": runs, "dryRun": dry_run }), |_| {
        let verb = if dry_run { "Would delete" } else { "Deleted" };
        let mut lines = vec![format!("{verb} {}", count(runs.len(), "run"))];
        lines.extend(runs.iter().map(|name| format!("  {name}")));
        lines.join("\n") + "\n"
    })
}

pub(super) fn delete(args: &Deleted, context: &Context) -> Result<(), CommandError> {
    let named = &args.named;
    state(&named.common)?.delete_run(&named.registry, &named.name).map_err(told::failure)?;
    context.status().say(&format!("deleted the pipeline run {}", named.name));
    Ok(())
}
