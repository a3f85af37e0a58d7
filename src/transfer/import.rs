//! Import: bundle → registry.
//!
//! Per artifact: blobs, then manifests children first, then what is attached, and the tag last. An artifact that is not
//! complete has no tag, whenever the run ends.

mod plan;
mod publish;
mod steps;

use super::{
    error::Error,
    items::Item,
    opened::Opened,
    report::Report,
    target::{Rule, Target},
    verify::verify,
};
use crate::{
    bundle::Reader,
    content,
    progress::{Event, Phase, Progress},
    registry::{Client, Repository},
};

pub use plan::{Plan, plan};
use steps::Run;

/// What to import, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, and any combination makes sense")]
pub struct Request {
    /// Where to.
    pub to: Target,
    /// Whether the source's host becomes the first part of the repository.
    pub keep_host: bool,
    /// Rewrite rules, the first that matches wins.
    pub map: Vec<Rule>,
    /// Whether tags that point elsewhere are moved.
    pub overwrite_tags: bool,
    /// Import what can be imported.
    pub continue_on_errors: bool,
    /// Make foreign layers distributable; their images get new digests.
    pub rewrite_foreign: bool,
    /// Re-hash the whole bundle before the first push.
    pub verify_first: bool,
    /// Remove the bundles once every artifact is confirmed in the target.
    pub delete_source: bool,
    /// Transfers at once; at least one.
    pub jobs: usize,
}

/// Imports: verifies every byte on its way, and publishes each artifact as soon as it is complete.
///
/// A run that was stopped is gone on with by the same call: what arrived is not sent again.
pub async fn run(client: &Client, bundles: &[Opened], request: &Request, progress: &Progress) -> Result<Report, Error> {
    if request.verify_first {
        for bundle in bundles {
            prove(bundle.reader(), request.jobs, progress).await?;
        }
    }
    let plan = plan(client, bundles, request, progress).await?;
    progress.tell(Event::Planned {
        blobs: plan.items.iter().map(|item| item.blobs.len() as u64).sum(),
        bytes: plan.bytes,
        present: plan.bytes_present,
    });
    progress.tell(Event::Phase(Phase::Transferring));
    let report = Run::new(plan, client, request, progress).finish().await?;
    if request.delete_source && !report.failed() {
        confirm(client, &report).await?;
        for bundle in bundles {
            bundle.remove().await?;
        }
    }
    Ok(report)
}

fn repository(client: &Client, item: &Item) -> Repository {
    client.repository(item.target.registry(), item.target.repository())
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
pub async fn confirm(client: &Client, report: &Report) -> Result<(), Error> {
    for outcome in &report.artifacts {
        let (Some(target), Some(digest)) = (&outcome.target, outcome.rewritten.or(outcome.digest)) else { continue };
        let found = client.repository(target.registry(), target.repository()).head(&target.name()).await?;
        if found.is_none_or(|found| found.digest != digest) {
            return Err(content::Error::NotFound { what: format!("{target} with digest {digest}") }.into());
        }
    }
    Ok(())
}
