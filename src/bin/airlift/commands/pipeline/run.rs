use std::time::Duration;

use airlift::{
    pipeline::{
        self, Ran, Record, State, Status, Surroundings,
        resource::{Kind, PipelineRun, Resource, ResourceId, registry_host},
        state::Retention,
    },
    storage::Settings,
};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::{input, show, state, told};
use crate::{
    args::{
        Jobs,
        pipeline_run::{Args, Clean, Create, List, Prune, Show, Way, What},
    },
    context::Context,
    failure::Failure,
    output::count,
    runtime,
};

/// How often `show --watch` looks.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.what {
        What::Create(args) => create(args, context),
        What::List(args) => list(args, context),
        What::Show(args) => show_one(args, context),
        What::Delete(args) => {
            let named = &args.named;
            state(&named.common)?.delete_run(&named.registry, &named.name).map_err(told::failure)?;
            context.status().say(&format!("deleted the pipeline run {}", named.name));
            Ok(())
        }
        What::Clean(args) => clean(args, context),
        What::Prune(args) => prune(args, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<(), Failure> {
    let resource = input::resource(args.file.as_deref(), Kind::PipelineRun, || document(args))?;
    let Resource::Run(mut run) = resource else { unreachable!("a run was read") };
    if args.force_redeploy {
        run.force_update_tag = Some(Timestamp::now().to_string());
    } else if args.force_update_tag.is_some() {
        run.force_update_tag.clone_from(&args.force_update_tag);
    }
    let ran = done(&state(&args.common)?, &run, args.jobs, context)?;
    show::one(&ran.record.document(), args.common.output, context)?;
    told::ended(&ran.record).map_or(Ok(()), Err)
}

/// Does a run, and says so if it was done before.
pub(super) fn done(state: &State, run: &PipelineRun, jobs: Jobs, context: &Context) -> Result<Ran, Failure> {
    let mut storage = Settings { ca_certs: context.ca_certs().to_vec(), ..Settings::from_env() };
    storage.state = state.dir().join("uploads");
    let with =
        Surroundings { registry: context.settings()?, storage, progress: context.progress(), jobs: jobs.count() };
    let ran = runtime::run(async { pipeline::run(state, run, None, &with).await.map_err(told::failure) })?;
    context.status().finish();
    if ran.stored {
        let name = &run.name;
        context
            .status()
            .say(&format!("the run {name} was done before and is not done again; --force-redeploy does it"));
    }
    Ok(ran)
}

fn document(args: &Create) -> Value {
    let registry = args.registry.as_deref().unwrap_or_default();
    let pipeline = args.pipeline.as_deref().unwrap_or_default();
    let kind = match args.pipeline_type {
        Some(Way::Export) => Kind::ExportPipeline,
        Some(Way::Import) => Kind::ImportPipeline,
        // An id says it by itself; what is neither is told to be no id.
        None => pipeline.parse().map_or(Kind::ExportPipeline, |id: ResourceId| id.kind),
    };
    let id = if pipeline.contains('/') || args.pipeline_type.is_none() {
        pipeline.to_owned()
    } else {
        let registry = registry_host(registry).unwrap_or_else(|_| registry.to_owned());
        ResourceId { kind, registry, name: pipeline.to_owned() }.to_string()
    };
    let mut request = json!({ "pipelineResourceId": id });
    let side = if kind == Kind::ImportPipeline { "source" } else { "target" };
    request[side] = json!({ "name": args.storage_blob });
    if !args.artifacts.is_empty() {
        request["artifacts"] = json!(args.artifacts);
    }
    if let Some(digest) = &args.catalog_digest {
        request["catalogDigest"] = json!(digest.to_string());
    }
    json!({ "registry": registry, "name": args.name, "properties": { "request": request } })
}

fn list(args: &List, context: &Context) -> Result<(), Failure> {
    let listed = &args.listed;
    let found = state(&listed.common)?.runs(listed.registry.as_deref(), args.history).map_err(told::failure)?;
    let documents: Vec<_> = found.iter().map(Record::document).collect();
    show::many(&documents, Kind::PipelineRun, listed.common.output, context)
}

fn show_one(args: &Show, context: &Context) -> Result<(), Failure> {
    let named = &args.named;
    let state = state(&named.common)?;
    let look = || state.run(&named.registry, &named.name).map_err(told::failure);
    let record = if args.watch { runtime::run(watched(look, context))? } else { look()? };
    show::one(&record.document(), named.common.output, context)
}

/// The run once it has ended; on the way there every change is told.
async fn watched(look: impl Fn() -> Result<Record, Failure>, context: &Context) -> Result<Record, Failure> {
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

fn clean(args: &Clean, context: &Context) -> Result<(), Failure> {
    let listed = &args.listed;
    let gone = state(&listed.common)?.clean(listed.registry.as_deref(), args.dry_run).map_err(told::failure)?;
    removed(&gone.runs, args.dry_run, context)
}

fn prune(args: &Prune, context: &Context) -> Result<(), Failure> {
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

fn removed(runs: &[String], dry_run: bool, context: &Context) -> Result<(), Failure> {
    context.answer(&json!({ "runs": runs, "dryRun": dry_run }), |_| {
        let verb = if dry_run { "Would delete" } else { "Deleted" };
        let mut lines = vec![format!("{verb} {}", count(runs.len(), "run"))];
        lines.extend(runs.iter().map(|name| format!("  {name}")));
        lines.join("\n") + "\n"
    })
}
