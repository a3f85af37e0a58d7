mod admitted;
mod receipt;
mod settings;
mod share;
mod spool;
mod volumes;

use airlift::{
    files::small::ReportFile,
    storage::Location,
    transfer::{destination::RegistryPrefix, discs, import},
};

use super::guarded::{self, refusal};
use crate::{
    args::import::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{plan, report},
    runtime,
};
use admitted::Course;
pub(super) use settings::request;
use settings::{choice, open, targets};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    import(args, context).map_err(|failure| artifacts::or_repair(failure, &args.bundles))
}

fn import(args: &Args, context: &Context) -> Result<(), CommandError> {
    report::check(&args.transfer)?;
    let receipt = args.receipt.as_deref().map(ReportFile::check).transpose()?;
    artifacts::warn_of_unfinished(&args.bundles, context);
    let to = args.to.clone().unwrap_or_else(RegistryPrefix::local);
    let mut request = request(&to, &args.renamed, &args.transfer);
    request.rewrite_foreign = args.rewrite_foreign;
    request.verify_first = args.verify_first;
    request.delete_source = args.delete_source;
    request.receipt = receipt.is_some();
    let choice = choice(&args.taken)?;
    let places = args.bundles.iter().map(|text| artifacts::source(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(shard) = args.sharded.shard().map_err(|source| Mistake::Shard { source })? {
        return share::run(args, shard, (&places, &request), context);
    }
    let settings = context.storage();
    let all_targets = targets(args, context)?;
    let targets = &*all_targets;
    let progress = context.progress();
    let admission = guarded::admission(&args.trust)?;
    let place = match &args.store {
        Some(dir) => dir.display().to_string(),
        None => to.prefix.iter().fold(to.registry.clone(), |to, prefix| format!("{to}/{prefix}")),
    };
    if args.transfer.dry_run {
        let planned = runtime::run(async {
            let bundles = open(args, &places, (&all_targets, &request), context).await?;
            admission.check(&bundles).await.map_err(refusal)?;
            Ok(match &choice {
                None => import::plan(targets, &bundles, &request, &progress).await,
                Some(choice) => choice.plan(targets, &bundles, &request, &progress).await,
            })
        })?;
        return plan::import(planned, &args.transfer, context);
    }
    if args.volume_prompt {
        let [Location::Path(drive_at)] = &places[..] else { return Err(Mistake::OneDrive.into()) };
        let spool = spool::root(args.spool.as_deref())?;
        let drive = volumes::Terminal { spool: &spool, context };
        let imported = discs::import(drive_at.clone(), &drive, targets, &request, &settings, &progress);
        let outcome = runtime::run(async { Ok(imported.await) })?;
        receipt::save(receipt.as_ref(), &outcome, context)?;
        return report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text));
    }
    let outcome = runtime::run(async {
        let bundles = open(args, &places, (&all_targets, &request), context).await?;
        let course = Course { targets, request: &request, place: &place, progress: &progress };
        admitted::import(args, &bundles, choice, admission, course).await
    })?;
    receipt::save(receipt.as_ref(), &outcome, context)?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}
