use airlift::transfer::mirror;

use crate::{
    args::mirror::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::{plan, report},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    report::check(&args.transfer)?;
    let what = artifacts::chosen(&args.chosen, artifacts::asked_for(&args.chosen)?, &args.transfer);
    let how = super::import::request(&args.to, &args.renamed, &args.transfer);
    let client = context.client(args.transfer.jobs)?;
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(mirror::plan(&client, &client, &what, &how, &progress).await) })?;
        return plan::import(planned, &args.transfer, context);
    }
    let outcome = runtime::run(async { Ok(mirror::run(&client, &client, &what, &how, &progress).await) })?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}
