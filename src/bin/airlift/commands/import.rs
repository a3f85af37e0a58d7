mod receipt;
mod share;
mod spool;
mod volumes;

use std::sync::Arc;

use airlift::{
    check::{self, Checked},
    content::{Targets, memory::Memories},
    files::small::ReportFile,
    pack::BaseFinder,
    progress::Event,
    storage::Location,
    store::Store,
    transfer::{
        Choice, Opened, Report,
        base_at_target::TargetBase,
        destination::RegistryPrefix,
        discs,
        import::{self, Request},
    },
};

use super::{
    checked,
    guarded::{self, refusal},
};
use crate::{
    args::{
        Renamed, Transfer,
        import::{Args, Taken},
    },
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{plan, report},
    runtime,
};

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
    let mut admission = guarded::admission(&args.trust)?;
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
        let admitted = admission.admit(&bundles, &place).await.map_err(refusal)?;
        for warning in &admitted.warnings {
            progress.tell(Event::Warned(warning.clone()));
        }
        let go_on = args.transfer.continue_on_errors;
        let (choice, refusals) = match checked::admit(&args.checks, &bundles, choice.as_ref(), go_on).await {
            Ok(Checked::Everything) => (Some(choice), Vec::new()),
            Ok(Checked::Some { rest, refusals }) => (rest.map(Some), refusals),
            Err(error) => {
                admission.conclude(&admitted, Err((&error, None)), &place)?;
                return Err(checked::refused(error));
            }
        };
        let mut outcome = match choice {
            None => Ok(Report::default()),
            Some(None) => import::run(targets, &bundles, &request, &progress).await,
            Some(Some(choice)) => choice.import(targets, &bundles, &request, &progress).await,
        };
        if let Ok(report) = &mut outcome {
            check::note(report, &refusals);
            if let Some(receipt) = &mut report.receipt {
                admitted.name_positions(receipt);
            }
        }
        admission.conclude(&admitted, outcome.as_ref().map_err(|error| (error, error.report())), &place)?;
        Ok(outcome)
    })?;
    receipt::save(receipt.as_ref(), &outcome, context)?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}

async fn open(
    args: &Args,
    places: &[Location],
    (targets, request): (&Arc<dyn Targets>, &Request),
    context: &Context,
) -> Result<Vec<Opened>, CommandError> {
    let mut read = artifacts::reading(&args.packed, context).await?;
    let base = TargetBase::new(Arc::clone(targets), request.clone());
    read.finder = Some(Arc::new(base) as Arc<dyn BaseFinder>);
    Ok(Opened::all_read(places, &context.storage(), &read, &context.progress()).await?)
}

/// What is taken of the bundles; `None` for everything.
fn choice(taken: &Taken) -> Result<Option<Choice>, CommandError> {
    let mut choice = Choice::default();
    choice.artifacts = artifacts::listed(&taken.file, None)?;
    choice.patterns.clone_from(&taken.only);
    choice.platforms.clone_from(&taken.platform);
    choice.referrers = !taken.no_referrers;
    // A list that is empty asks for nothing, not for everything.
    if !taken.file.is_empty() && choice.artifacts.is_empty() && choice.patterns.is_empty() {
        return Err(Mistake::NoArtifacts.into());
    }
    Ok((!choice.is_everything()).then_some(choice))
}

/// How artifacts go to a target.
pub(super) fn request(to: &RegistryPrefix, renamed: &Renamed, transfer: &Transfer) -> Request {
    let mut request = Request::new(to.clone());
    request.keep_host = renamed.keep_host;
    request.map.clone_from(&renamed.map);
    request.overwrite_tags = renamed.overwrite_tags;
    request.check_blobs = renamed.check_blobs;
    request.continue_on_errors = transfer.continue_on_errors;
    request.jobs = transfer.jobs.uploads();
    request.small_jobs = transfer.jobs.small();
    request
}

/// The registry, or the store.
fn targets(args: &Args, context: &Context) -> Result<Arc<dyn Targets>, CommandError> {
    Ok(match &args.store {
        None => Arc::new(context.client(args.transfer.jobs)?),
        // A store that is not there yet has nothing, and planning makes none.
        Some(dir) if args.transfer.dry_run && !Store::is_store(dir) => Arc::new(Memories::default()),
        Some(dir) => Arc::new(Store::open(dir)?),
    })
}
