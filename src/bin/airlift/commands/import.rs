mod receipt;
mod spool;
mod volumes;

use airlift::{
    content::{Targets, memory::Memories},
    files::small::ReportFile,
    storage::Location,
    store::Store,
    transfer::{
        Choice, Opened,
        destination::RegistryPrefix,
        discs,
        import::{self, Request},
    },
};

use super::guarded::Guarded;
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
    let request = Request {
        rewrite_foreign: args.rewrite_foreign,
        verify_first: args.verify_first,
        delete_source: args.delete_source,
        receipt: receipt.is_some(),
        ..request(&to, &args.renamed, &args.transfer)
    };
    let choice = choice(&args.taken)?;
    let places = args.bundles.iter().map(|text| artifacts::source(text)).collect::<Result<Vec<_>, _>>()?;
    let settings = context.storage();
    let targets = targets(args, context)?;
    let targets = &*targets;
    let progress = context.progress();
    let mut guarded = Guarded::new(&args.trust)?;
    let place = match &args.store {
        Some(dir) => dir.display().to_string(),
        None => to.prefix.iter().fold(to.registry.clone(), |to, prefix| format!("{to}/{prefix}")),
    };
    if args.transfer.dry_run {
        let planned = runtime::run(async {
            let bundles = Opened::all(&places, &settings, &progress).await?;
            guarded.check(&bundles).await?;
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
    let (admitted, outcome) = runtime::run(async {
        let bundles = Opened::all(&places, &settings, &progress).await?;
        let admitted = guarded.admit(&bundles, &place).await?;
        let outcome = match &choice {
            None => import::run(targets, &bundles, &request, &progress).await,
            Some(choice) => choice.import(targets, &bundles, &request, &progress).await,
        };
        Ok((admitted, outcome))
    })?;
    receipt::save(receipt.as_ref(), &outcome, context)?;
    guarded.conclude(&admitted, outcome.as_ref(), &place)?;
    report::conclude(outcome, &args.transfer, context, |found| context.answer(found, report::text))
}

/// What is taken of the bundles; `None` for everything.
fn choice(taken: &Taken) -> Result<Option<Choice>, CommandError> {
    let choice = Choice {
        artifacts: artifacts::listed(&taken.file, None)?,
        patterns: taken.only.clone(),
        platforms: taken.platform.clone(),
        referrers: !taken.no_referrers,
    };
    // A list that is empty asks for nothing, not for everything.
    if !taken.file.is_empty() && choice.artifacts.is_empty() && choice.patterns.is_empty() {
        return Err(Mistake::NoArtifacts.into());
    }
    Ok((!choice.is_everything()).then_some(choice))
}

/// How artifacts go to a target.
pub(super) fn request(to: &RegistryPrefix, renamed: &Renamed, transfer: &Transfer) -> Request {
    Request {
        to: to.clone(),
        keep_host: renamed.keep_host,
        map: renamed.map.clone(),
        overwrite_tags: renamed.overwrite_tags,
        check_blobs: renamed.check_blobs,
        continue_on_errors: transfer.continue_on_errors,
        rewrite_foreign: false,
        verify_first: false,
        delete_source: false,
        receipt: false,
        jobs: transfer.jobs.uploads(),
        small_jobs: transfer.jobs.small(),
    }
}

/// The registry, or the store.
fn targets(args: &Args, context: &Context) -> Result<Box<dyn Targets>, CommandError> {
    Ok(match &args.store {
        None => Box::new(context.client(args.transfer.jobs)?),
        // A store that is not there yet has nothing, and planning makes none.
        Some(dir) if args.transfer.dry_run && !Store::is_store(dir) => Box::new(Memories::default()),
        Some(dir) => Box::new(Store::open(dir)?),
    })
}
