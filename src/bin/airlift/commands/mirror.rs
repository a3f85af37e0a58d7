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
    let client = context.client(args.transfer.jobs)?;
    let asked = artifacts::asked_for(&args.chosen)?;
    let (origins, artifacts) = runtime::run(asked.over(Box::new(client.clone()), &client, context))?;
    let (origins, what) = (&*origins, artifacts::chosen(&args.chosen, artifacts, &args.transfer));
    let how = super::import::request(&args.to, &args.renamed, &args.transfer);
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(mirror::plan(origins, &client, &what, &how, &progress).await) })?;
        return plan::import(planned, &args.transfer, context);
    }
    let outcome = runtime::run(async { Ok(mirror::run(origins, &client, &what, &how, &progress).await) })?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}
