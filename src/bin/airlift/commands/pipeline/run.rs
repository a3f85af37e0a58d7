use airlift::pipeline::{
    self, Ran, RunContext, State,
    resource::{Kind, PipelineRun, Resource},
};
use jiff::Timestamp;

use super::{history, input, show, state, told};
use crate::{
    args::{
        Jobs,
        pipeline_run::{Args, Create, What},
    },
    context::Context,
    failure::Failure,
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.what {
        What::Create(args) => create(args, context),
        What::List(args) => history::list(args, context),
        What::Show(args) => history::show(args, context),
        What::Delete(args) => history::delete(args, context),
        What::Clean(args) => history::clean(args, context),
        What::Prune(args) => history::prune(args, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<(), Failure> {
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
pub(super) fn done(state: &State, run: &PipelineRun, jobs: Jobs, context: &Context) -> Result<Ran, Failure> {
    let mut storage = context.storage();
    storage.state = state.dir().join("uploads");
    let with = RunContext { registry: context.settings()?, storage, progress: context.progress(), jobs: jobs.count() };
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
