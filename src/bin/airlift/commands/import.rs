use std::path::PathBuf;

use airlift::{
    progress::{Event, Phase, Progress},
    transfer::{
        Opened,
        import::{self, Request},
    },
};

use crate::{
    args::import::Args,
    artifacts,
    context::Context,
    failure::Failure,
    output::{plan, report},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let request = Request {
        to: args.to.clone(),
        keep_host: args.keep_host,
        map: args.map.clone(),
        overwrite_tags: args.overwrite_tags,
        continue_on_errors: args.transfer.continue_on_errors,
        rewrite_foreign: args.rewrite_foreign,
        verify_first: args.verify_first,
        delete_source: args.delete_source,
        jobs: args.transfer.jobs.count(),
    };
    let client = context.client()?;
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async {
            let bundles = open(&args.bundles, &progress).await?;
            Ok(import::plan(&client, &bundles, &request, &progress).await)
        })?;
        return plan::import(planned, &args.transfer, context);
    }
    let outcome = runtime::run(async {
        let bundles = open(&args.bundles, &progress).await?;
        Ok(import::run(&client, &bundles, &request, &progress).await)
    })?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}

/// On the runtime that will read them: connections belong to it.
async fn open(texts: &[PathBuf], progress: &Progress) -> Result<Vec<Opened>, Failure> {
    progress.tell(Event::Phase(Phase::Resolving));
    let mut bundles = Vec::with_capacity(texts.len());
    for text in texts {
        bundles.push(artifacts::open(text).await?);
    }
    Ok(bundles)
}
