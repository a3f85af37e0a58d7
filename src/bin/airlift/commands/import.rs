mod spool;
mod volumes;

use airlift::transfer::{
    Opened,
    import::{self, Request},
};

use super::guarded::Guarded;
use crate::{
    args::import::Args,
    artifacts,
    context::Context,
    failure::Failure,
    output::{plan, report},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    report::check(&args.transfer)?;
    artifacts::warn_of_unfinished(&args.bundles, context);
    let request = Request {
        to: args.to.clone(),
        keep_host: args.keep_host,
        map: args.map.clone(),
        overwrite_tags: args.overwrite_tags,
        continue_on_errors: args.transfer.continue_on_errors,
        rewrite_foreign: args.rewrite_foreign,
        verify_first: args.verify_first,
        delete_source: args.delete_source,
        jobs: args.transfer.jobs.uploads(),
    };
    let places = args.bundles.iter().map(|text| artifacts::location(text)).collect::<Result<Vec<_>, _>>()?;
    let settings = context.storage();
    let client = context.client()?;
    let progress = context.progress();
    let mut guarded = Guarded::new(&args.trust)?;
    let to = args.to.prefix.iter().fold(args.to.registry.clone(), |to, prefix| format!("{to}/{prefix}"));
    if args.transfer.dry_run {
        let planned = runtime::run(async {
            let bundles = Opened::all(&places, &settings, &progress).await?;
            guarded.check(&bundles)?;
            Ok(import::plan(&client, &bundles, &request, &progress).await)
        })?;
        return plan::import(planned, &args.transfer, context);
    }
    if args.volume_prompt {
        let outcome = runtime::run(volumes::import(&places, &client, &request, args.spool.as_deref(), context))?;
        return report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text));
    }
    let (admitted, outcome) = runtime::run(async {
        let bundles = Opened::all(&places, &settings, &progress).await?;
        let admitted = guarded.admit(&bundles, &to)?;
        Ok((admitted, import::run(&client, &bundles, &request, &progress).await))
    })?;
    guarded.conclude(&admitted, outcome.as_ref(), &to)?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}
