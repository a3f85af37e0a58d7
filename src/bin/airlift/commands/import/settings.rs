//! What the options of an import say.

use std::sync::Arc;

use airlift::{
    content::{Targets, memory::Memories},
    pack::BaseFinder,
    storage::Location,
    store::Store,
    transfer::{Choice, Opened, base_at_target::TargetBase, destination::RegistryPrefix, import::Request},
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
};

/// The bundles, with what packed ones are read by.
pub(super) async fn open(
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
pub(super) fn choice(taken: &Taken) -> Result<Option<Choice>, CommandError> {
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
pub(in crate::commands) fn request(to: &RegistryPrefix, renamed: &Renamed, transfer: &Transfer) -> Request {
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
pub(super) fn targets(args: &Args, context: &Context) -> Result<Arc<dyn Targets>, CommandError> {
    Ok(match &args.store {
        None => Arc::new(context.client(args.transfer.jobs)?),
        // A store that is not there yet has nothing, and planning makes none.
        Some(dir) if args.transfer.dry_run && !Store::is_store(dir) => Arc::new(Memories::default()),
        Some(dir) => Arc::new(Store::open(dir)?),
    })
}
