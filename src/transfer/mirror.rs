//! Mirror: artifacts from repositories to repositories, without a file between them.
//!
//! The plan of an export says what every artifact consists of; an import moves it.

use std::sync::Arc;

use super::{
    error::Error,
    export,
    failure::Side,
    import::{self, ImportPlan},
    plan,
    report::{ArtifactState, Outcome, Report},
    supply::ArtifactSupply,
};
use crate::{
    content::{Origins, Targets},
    progress::Progress,
};

/// Finds out what the artifacts consist of, and what the target has of them. Nothing is pushed.
pub async fn plan(
    origins: &dyn Origins,
    targets: &dyn Targets,
    what: &export::Request,
    how: &import::Request,
    progress: &Progress,
) -> Result<ImportPlan, Error> {
    Ok(planned((origins, Side::Source), targets, what, how, progress).await?.0)
}

/// Mirrors: verifies every byte on its way, and publishes each artifact as soon as it is complete.
///
/// A run that was stopped is resumed by the same call: what arrived is not sent again.
pub async fn run(
    origins: &dyn Origins,
    targets: &dyn Targets,
    what: &export::Request,
    how: &import::Request,
    progress: &Progress,
) -> Result<Report, Error> {
    run_from((origins, Side::Source), targets, what, how, progress).await
}

/// As [`run`], from places that failures name as that side.
pub(super) async fn run_from(
    from: (&dyn Origins, Side),
    targets: &dyn Targets,
    what: &export::Request,
    how: &import::Request,
    progress: &Progress,
) -> Result<Report, Error> {
    let (plan, lost) = planned(from, targets, what, how, progress).await?;
    let mut report = import::execute(plan, targets, how, progress).await?;
    report.artifacts.extend(lost);
    report.artifacts.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(report)
}

/// The plan, and the artifacts that cannot be had.
pub(super) async fn planned(
    (origins, side): (&dyn Origins, Side),
    targets: &dyn Targets,
    what: &export::Request,
    how: &import::Request,
    progress: &Progress,
) -> Result<(ImportPlan, Vec<Outcome>), Error> {
    // The target is asked for the blobs. A source that lacks one fails its artifact when it is moved, and nothing else.
    let source = export::possible(plan::Plan::resolved(origins, side, what, progress).await?, what)?;
    let lost =
        source.report().artifacts.iter().filter(|outcome| outcome.state == ArtifactState::Failed).cloned().collect();
    let plan =
        ImportPlan::make(targets, vec![Arc::new(source) as Arc<dyn ArtifactSupply>], how, None, progress).await?;
    Ok((plan, lost))
}
