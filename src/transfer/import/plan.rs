//! What an import will do: every artifact with its name in the target, and what the target has of it. Nothing is pushed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{
    super::{
        error::{Cause, Error, Failure, Side},
        items::{Item, items},
        opened::Opened,
        report::{Outcome, Report},
    },
    Request, repository,
};
use crate::{
    bundle::Reader,
    content::{self, Lookup},
    oci::{Descriptor, Digest},
    progress::{Event, Phase, Progress},
    registry::Client,
};

/// Questions to the target at once while planning.
const REQUESTS: usize = 16;

/// What an import will do.
pub struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) bundles: Vec<Reader>,
    /// What the target has of the blobs, by repository.
    pub(super) present: HashSet<(String, Digest)>,
    /// Items whose tag names the right manifest already.
    pub(super) in_place: HashSet<usize>,
    pub(super) failures: Vec<Failure>,
    pub(super) report: Report,
    pub(super) bytes: u64,
    pub(super) bytes_present: u64,
}

impl Plan {
    /// What is known of every artifact, with its name in the target.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Artifacts that cannot be imported, and why.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Blob bytes that the target should have in the end, each blob once a repository, and how many it has.
    pub const fn totals(&self) -> (u64, u64) {
        (self.bytes, self.bytes_present)
    }

    fn into_error(self) -> Error {
        Error::Artifacts { report: Box::new(self.report), failures: self.failures }
    }
}

/// Asks the target what it has of the bundles, whose opening was the phase of resolving. Nothing is pushed.
pub async fn plan(client: &Client, bundles: &[Opened], request: &Request, progress: &Progress) -> Result<Plan, Error> {
    let readers: Vec<Reader> = bundles.iter().map(|bundle| bundle.reader().clone()).collect();
    let (items, warnings) = items(&readers, request)?;
    for warning in &warnings {
        progress.tell(Event::Warned(warning.clone()));
    }
    let artifacts = items.iter().map(outcome).collect();
    let report = Report { artifacts, warnings, ..Report::default() };
    progress.tell(Event::Phase(Phase::Planning));
    let mut plan = Plan {
        items,
        bundles: readers,
        present: HashSet::new(),
        in_place: HashSet::new(),
        failures: Vec::new(),
        report,
        bytes: 0,
        bytes_present: 0,
    };
    plan.ask_tags(client, request).await;
    plan.ask_blobs(client).await;
    plan.report.fail(&plan.failures);
    if !plan.failures.is_empty() && !request.continue_on_errors {
        return Err(plan.into_error());
    }
    Ok(plan)
}

fn outcome(item: &Item) -> Outcome {
    let root = item.root().digest();
    Outcome {
        target: Some(item.target.clone()),
        digest: Some(item.digest),
        rewritten: (root != item.digest).then_some(root),
        bytes: item.bytes(),
        attached: item.attached.len() as u64,
        ..Outcome::unknown(item.reference.clone())
    }
}

impl Plan {
    /// Finds the tags that are in place, and those that may not be moved.
    async fn ask_tags(&mut self, client: &Client, request: &Request) {
        let asking = self
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| async move { (at, repository(client, item).head(&item.target.name()).await) });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffered(REQUESTS);
        let mut failures = Vec::new();
        while let Some((at, answer)) = answers.next().await {
            let item = &self.items[at];
            let wanted = item.root().digest();
            let cause = match (answer, item.target.tag()) {
                (Ok(Some(found)), _) if found.digest == wanted => {
                    self.in_place.insert(at);
                    continue;
                }
                (Ok(Some(found)), Some(tag)) if !request.overwrite_tags => Cause::TagExists {
                    repository: item.target.context(),
                    tag: tag.clone(),
                    found: found.digest,
                    wanted,
                },
                (Ok(_), _) => continue,
                (Err(error), _) => error.into(),
            };
            failures.push(Failure { artifact: item.reference.clone(), side: Side::Target, cause });
        }
        drop(answers);
        self.failures.extend(failures);
    }

    /// Asks for every leaf blob, never for interior manifests: an interrupted import must not look finished.
    async fn ask_blobs(&mut self, client: &Client) {
        let failed: HashSet<_> = self.failures.iter().map(|failure| failure.artifact.clone()).collect();
        let items = self.items.iter().filter(|item| !failed.contains(&item.reference));
        let mut wanted: HashMap<(String, Digest), (&Descriptor, &Item)> = HashMap::new();
        for item in items {
            for blob in item.blobs.iter().chain(&item.assumed) {
                wanted.insert((item.target.context(), blob.digest), (blob, item));
            }
        }
        let asking = wanted.into_iter().map(|(key, (blob, item))| async move {
            // Without its `urls`: what may be had elsewhere is not in the target.
            let bare = Descriptor::new(blob.media_type.clone(), blob.digest, blob.size);
            let answer = repository(client, item).contains(&bare).await;
            (key, blob, item, answer)
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffer_unordered(REQUESTS);
        let mut present = HashSet::new();
        let mut failures: HashMap<_, Failure> = HashMap::new();
        let (mut bytes, mut bytes_present) = (0, 0);
        while let Some((key, blob, item, answer)) = answers.next().await {
            bytes += blob.size;
            let assumed = item.assumed.iter().any(|one| one.digest == blob.digest);
            let error = match answer {
                Ok(true) => {
                    bytes_present += blob.size;
                    present.insert(key);
                    continue;
                }
                Ok(false) if !assumed => continue,
                Ok(false) => content::Error::NotFound { what: "a blob that the bundle leaves to the target".into() },
                Err(error) => error,
            };
            let cause = Cause::Blob { digest: blob.digest, size: blob.size, source: Arc::new(error) };
            let artifact = item.reference.clone();
            failures.entry(artifact.clone()).or_insert(Failure { artifact, side: Side::Target, cause });
        }
        drop(answers);
        let mut failures: Vec<_> = failures.into_values().collect();
        failures.sort_by(|a, b| a.artifact.cmp(&b.artifact));
        self.failures.extend(failures);
        (self.present, self.bytes, self.bytes_present) = (present, bytes, bytes_present);
    }
}
