//! The receipt of an import: the target is asked once more for everything that it should have now.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::super::{
    destination::RegistryPrefix,
    items::ImportItem,
    report::{ArtifactState, Report},
    supply::ArtifactSupply,
};
use crate::{
    bundle::Contents,
    content::{self, Targets},
    holding::{Holding, Receipt, Received, ReceivedArtifact, ReceivedBundle},
    oci::{Descriptor, Digest, Manifest, Repository},
};

/// Questions to the target at once.
const REQUESTS: usize = 16;

/// What a run imported, and from what.
pub(in crate::transfer) struct Imported {
    pub(in crate::transfer) items: Vec<ImportItem>,
    pub(in crate::transfer) supplies: Vec<std::sync::Arc<dyn ArtifactSupply>>,
}

impl Imported {
    /// Asks `targets` for everything of each artifact that is done by the word of `report`.
    ///
    /// # Errors
    /// The target does not answer.
    pub(in crate::transfer) async fn confirm(
        &self,
        targets: &dyn Targets,
        report: &Report,
        to: &RegistryPrefix,
    ) -> content::Result<Receipt> {
        let states: HashMap<_, _> = report.artifacts.iter().map(|one| (&one.reference, one.state)).collect();
        let state = |item: &ImportItem| states.get(&item.reference).copied().unwrap_or(ArtifactState::NotReached);
        let is_done = |item: &&ImportItem| matches!(state(item), ArtifactState::Done | ArtifactState::AlreadyThere);
        let there = there(self.items.iter().filter(is_done), targets).await?;
        let mut artifacts = Vec::new();
        let mut holdings = Holdings::default();
        for (item, named) in self.items.iter().zip(self.named(targets).await?) {
            let repository = item.target.context();
            let complete = named && content_of(item).all(|one| there.contains(&(repository.clone(), one.digest)));
            let result = match state(item) {
                ArtifactState::Done if complete => Received::Done,
                ArtifactState::AlreadyThere if complete => Received::AlreadyThere,
                ArtifactState::Done | ArtifactState::AlreadyThere => Received::Unconfirmed,
                ArtifactState::Failed => Received::Failed,
                ArtifactState::NotReached => Received::NotReached,
            };
            if result.is_confirmed() {
                holdings.add(item, &self.supplies);
            }
            artifacts.push(received(item, result));
        }
        let bundles = self.supplies.iter().filter_map(|supply| supply.bundle()).collect();
        let target = [Some(to.registry.clone()), to.prefix.clone()].into_iter().flatten().collect::<Vec<_>>().join("/");
        Ok(Receipt::new(target, Timestamp::now(), bundles, artifacts, holdings.0.into_values().collect()))
    }

    /// By item, whether its name leads to its root in the target.
    async fn named(&self, targets: &dyn Targets) -> content::Result<Vec<bool>> {
        let asking = self.items.iter().map(|item| {
            let target = targets.target(item.target.context());
            async move { Ok(target.head(&item.target.name()).await? == Some(item.root().digest())) }
        });
        let asking: Vec<_> = asking.collect();
        stream::iter(asking).buffered(REQUESTS).try_collect().await
    }
}

/// Everything of an artifact that the target must have.
fn content_of(item: &ImportItem) -> impl Iterator<Item = &Descriptor> {
    let manifests = item.manifests.iter().chain(&item.attached).map(Manifest::descriptor);
    manifests.chain(item.blobs.iter().chain(&item.assumed).map(|blob| &**blob))
}

/// What the target has of `items`, each asked for once a repository.
async fn there<'a>(
    items: impl Iterator<Item = &'a ImportItem>,
    targets: &dyn Targets,
) -> content::Result<HashSet<(Repository, Digest)>> {
    let mut wanted = HashMap::new();
    for item in items {
        let repository = item.target.context();
        wanted.extend(content_of(item).map(|content| ((repository.clone(), content.digest), content)));
    }
    let asking = wanted.into_iter().map(|(key, content)| {
        let target = targets.target(&key.0);
        async move { Ok::<_, content::Error>(target.contains(content).await?.then_some(key)) }
    });
    let asking: Vec<_> = asking.collect();
    let answers = stream::iter(asking).buffer_unordered(REQUESTS);
    answers.try_filter_map(async |found| Ok(found)).try_collect().await
}

fn received(item: &ImportItem, result: Received) -> ReceivedArtifact {
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    sizes.extend(content_of(item).map(|content| (content.digest, content.size)));
    ReceivedArtifact {
        bytes: sizes.values().fold(0, |sum, size| u64::saturating_add(sum, *size)),
        digest: item.root().digest(),
        reference: item.reference.clone(),
        result,
        target: item.target.clone(),
    }
}

/// Holdings by repository, repository at the sender, and bundle.
#[derive(Default)]
struct Holdings(BTreeMap<(String, String, Option<Digest>), Holding>);

impl Holdings {
    fn add(&mut self, item: &ImportItem, supplies: &[std::sync::Arc<dyn ArtifactSupply>]) {
        let id = |supply: usize| supplies[supply].bundle().map(|ReceivedBundle { id, .. }| id);
        let own = id(item.supply);
        let manifests = item.manifests.iter().chain(&item.attached).map(Manifest::digest);
        self.of(item, own).manifests.extend(manifests);
        for blob in &item.blobs {
            let bundle = id(item.supply_of(&blob.digest));
            self.of(item, bundle).blobs.push(blob.digest);
        }
        let contents: &Contents = supplies[item.supply].contents();
        for blob in &item.assumed {
            let absent = contents.absent.get(&blob.digest);
            let bundle = absent.and_then(|absent| absent.bundles.first()).copied();
            self.of(item, bundle).blobs.push(blob.digest);
        }
    }

    fn of(&mut self, item: &ImportItem, bundle: Option<Digest>) -> &mut Holding {
        let (repository, source) = (item.target.context().to_string(), item.reference.context().to_string());
        let key = (repository.clone(), source.clone(), bundle);
        let empty = || Holding { blobs: Vec::new(), bundle, manifests: Vec::new(), repository, source };
        self.0.entry(key).or_insert_with(empty)
    }
}
