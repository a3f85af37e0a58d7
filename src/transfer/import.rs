//! Import: bundle → any place that artifacts go to.
//!
//! Per artifact: blobs, then manifests children first, then what is attached, and the tag last. An artifact that is not
//! complete has no tag, whenever the run ends.

mod assumed;
mod plan;
mod publish;
mod request;
mod steps;

use std::sync::Arc;

use super::{
    delta::confirm::Imported, error::Error, opened::Opened, report::Report, shards::Shard, supply::ArtifactSupply,
    verify::verify,
};
use crate::{
    bundle::Reader,
    content::{self, Targets},
    progress::{Event, Phase, Progress},
};

pub use plan::ImportPlan;
pub use request::Request;
use steps::ImportRun;

/// Imports: verifies every byte on its way, and publishes each artifact as soon as it is complete.
///
/// A run that was stopped is resumed by the same call: what arrived is not sent again.
pub async fn run(
    targets: &dyn Targets,
    bundles: &[Opened],
    request: &Request,
    progress: &Progress,
) -> Result<Report, Error> {
    prove_first(bundles, request, progress).await?;
    let plan = plan(targets, bundles, request, progress).await?;
    let report = execute(plan, targets, request, progress).await?;
    if request.delete_source && !report.failed() {
        confirm(targets, &report).await?;
        for bundle in bundles {
            bundle.remove().await?;
        }
    }
    Ok(report)
}

/// Pushes the configs and layers that machine `shard` has of the bundles, and publishes nothing; how many blobs those are. The
/// tags come with [`run`], which finds every blob in its place.
#[doc(hidden)]
pub async fn share(
    targets: &dyn Targets,
    bundles: &[Opened],
    request: &Request,
    shard: Shard,
    progress: &Progress,
) -> Result<(Report, u64), Error> {
    prove_first(bundles, request, progress).await?;
    let plan = ImportPlan::make(targets, supplies(bundles), request, Some(shard), progress).await?;
    let blobs = plan.blobs();
    Ok((execute(plan, targets, request, progress).await?, blobs))
}

/// Asks the target what it has of the bundles, whose opening was the phase of resolving. Nothing is pushed.
pub async fn plan(
    targets: &dyn Targets,
    bundles: &[Opened],
    request: &Request,
    progress: &Progress,
) -> Result<ImportPlan, Error> {
    ImportPlan::make(targets, supplies(bundles), request, None, progress).await
}

fn supplies(bundles: &[Opened]) -> Vec<Arc<dyn ArtifactSupply>> {
    bundles.iter().map(|bundle| Arc::new(bundle.reader().clone()) as Arc<dyn ArtifactSupply>).collect()
}

/// Does what was planned.
pub(super) async fn execute(
    plan: ImportPlan,
    targets: &dyn Targets,
    request: &Request,
    progress: &Progress,
) -> Result<Report, Error> {
    progress.tell(plan.planned());
    progress.tell(Event::Phase(Phase::Transferring));
    let imported = request.receipt.then(|| Imported { items: plan.items.clone(), supplies: plan.supplies.clone() });
    let outcome = ImportRun::new(plan, targets, request, progress).finish().await;
    let Some(imported) = imported else { return outcome };
    match outcome {
        Ok(mut report) => {
            report.receipt = Some(Box::new(imported.confirm(targets, &report, &request.to).await?));
            report.warn_of_unconfirmed();
            Ok(report)
        }
        Err(Error::Artifacts { mut report, failures }) => {
            // What the run came to is worth a receipt, if the target still answers.
            report.receipt = imported.confirm(targets, &report, &request.to).await.ok().map(Box::new);
            Err(Error::Artifacts { report, failures })
        }
        Err(error) => Err(error),
    }
}

/// Re-hashes the bundles, if that is asked for.
pub(super) async fn prove_first(bundles: &[Opened], request: &Request, progress: &Progress) -> Result<(), Error> {
    if request.verify_first {
        for bundle in bundles {
            prove(bundle.reader(), request.jobs, progress).await?;
        }
    }
    Ok(())
}

/// Re-hashes a whole bundle.
async fn prove(reader: &Reader, jobs: usize, progress: &Progress) -> Result<(), Error> {
    let found = verify(reader, jobs, progress).await?;
    match found.findings.first() {
        None => Ok(()),
        Some(first) => Err(Error::Damaged {
            path: reader.path().to_owned(),
            findings: found.findings.len(),
            first: first.message.clone(),
            code: first.code,
        }),
    }
}

/// Asks the target once more for every artifact, by digest, before a bundle is removed.
///
/// # Errors
/// One is not there, or the target does not answer.
pub async fn confirm(targets: &dyn Targets, report: &Report) -> Result<(), Error> {
    for outcome in &report.artifacts {
        let (Some(target), Some(digest)) = (&outcome.target, outcome.rewritten.or(outcome.digest)) else { continue };
        let found = targets.target(target.context()).head(&target.name()).await?;
        if found != Some(digest) {
            return Err(content::Error::NotFound { what: format!("{target} with digest {digest}") }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
