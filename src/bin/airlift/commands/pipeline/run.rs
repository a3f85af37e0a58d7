use airlift::pipeline::{
    self, PipelineState, Ran, RunContext, TrustContext,
    resource::{Kind, PipelineRun, Resource},
};
use jiff::Timestamp;

use super::{history, input, show, state, told};
use crate::{
    args::{
        Jobs,
        pipeline_run::{Args, CreateRun, PipelineRunCommand},
    },
    context::Context,
    failure::CommandError,
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match &args.what {
        PipelineRunCommand::Create(args) => create(args, context),
        PipelineRunCommand::List(args) => history::list(args, context),
        PipelineRunCommand::Show(args) => history::show(args, context),
        PipelineRunCommand::Delete(args) => history::delete(args, context),
        PipelineRunCommand::Clean(args) => history::clean(args, context),
        PipelineRunCommand::Prune(args) => history::prune(args, context),
    }
}

fn create(args: &CreateRun, context: &Context) -> Result<(), CommandError> {
    let resource = input::resource(args.file.as_deref(), Kind::PipelineRun, || input::run(args))?;
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
pub(super) fn done(
    state: &PipelineState,
    run: &PipelineRun,
    jobs: Jobs,
    context: &Context,
) -> Result<Ran, CommandError> {
    let mut storage = context.storage();
    storage.state = Some(state.dir().join("uploads"));
    let with = RunContext {
        registry: context.settings(jobs)?,
        storage,
        progress: context.progress(),
        jobs: jobs.count(),
        small_jobs: jobs.small(),
        trust: TrustContext { file: None, record: None, state: state.dir().to_owned() },
    };
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
