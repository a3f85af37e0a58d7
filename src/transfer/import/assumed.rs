//! What a delta leaves to the target: looked for in every repository that may have it, before anything is pushed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{
    super::{
        destination::Renaming,
        failure::{Cause, Failure, Side},
        items::ImportItem,
    },
    plan::ImportPlan,
};
use crate::{
    content::{self, Targets},
    oci::{Descriptor, Digest, Repository},
};

/// A blob of a repository.
type Spot = (Repository, Digest);

impl ImportPlan {
    /// Looks for what `lacking`, repositories with blobs that their bundle leaves to them, do not have: in the other
    /// repositories of the run, and in those that the bundle names. An artifact of which a blob is nowhere fails.
    pub(super) async fn ask_elsewhere(&mut self, targets: &dyn Targets, lacking: &HashSet<Spot>, renaming: &Renaming) {
        let wanted: HashMap<Digest, Descriptor> = self
            .items
            .iter()
            .flat_map(|item| {
                item.assumed.iter().filter(|blob| lacking.contains(&(item.target.context().clone(), blob.digest)))
            })
            .map(|blob| (blob.digest, Descriptor::clone(blob)))
            .collect();
        let places: BTreeMap<Digest, BTreeSet<Repository>> =
            wanted.keys().map(|digest| (*digest, self.candidates(digest, renaming))).collect();
        let asking = places.iter().flat_map(|(digest, repositories)| {
            let blob = &wanted[digest];
            let known = |repository: &&Repository| !lacking.contains(&((*repository).clone(), *digest));
            repositories.iter().filter(known).map(move |repository| {
                let target = targets.target(repository);
                async move { (repository, blob.digest, target.contains(blob).await) }
            })
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = stream::iter(asking).buffer_unordered(self.at_once);
        let mut found: BTreeMap<Digest, BTreeSet<Repository>> = BTreeMap::new();
        let mut doubts: HashMap<Digest, Arc<content::Error>> = HashMap::new();
        while let Some((repository, digest, answer)) = answers.next().await {
            match answer {
                Ok(true) => drop(found.entry(digest).or_default().insert(repository.clone())),
                Ok(false) => {}
                Err(error) => drop(doubts.entry(digest).or_insert_with(|| Arc::new(error))),
            }
        }
        drop(answers);
        for (repository, digest) in lacking {
            if let Some(holder) = found.get(digest).and_then(BTreeSet::first) {
                self.holders.insert((repository.clone(), *digest), holder.clone());
            }
        }
        let failed: HashSet<_> = self.failures.iter().map(|failure| failure.artifact.clone()).collect();
        let items = self.items.iter().filter(|item| !failed.contains(&item.reference));
        let failures: Vec<_> = items.filter_map(|item| self.failure(item, lacking, &doubts)).collect();
        self.failures.extend(failures);
    }

    /// Repositories that may have a blob: those of the run that name it, and those that a bundle names.
    fn candidates(&self, blob: &Digest, renaming: &Renaming) -> BTreeSet<Repository> {
        let mut repositories = BTreeSet::new();
        for item in &self.items {
            if item.assumed.iter().chain(&item.blobs).any(|one| one.digest == *blob) {
                repositories.insert(item.target.context().clone());
            }
        }
        for supply in &self.supplies {
            let named = supply.contents().absent.get(blob).map(|absent| &absent.repositories[..]).unwrap_or_default();
            for name in named.iter().filter_map(|name| name.parse::<Repository>().ok()) {
                repositories.extend(renaming.of(&name));
                if name.registry() == renaming.to.registry {
                    repositories.insert(name);
                }
            }
        }
        repositories
    }

    /// Why an item cannot be imported, if it needs what is nowhere.
    fn failure(
        &self,
        item: &ImportItem,
        lacking: &HashSet<Spot>,
        doubts: &HashMap<Digest, Arc<content::Error>>,
    ) -> Option<Failure> {
        let is_nowhere = |blob: &&Descriptor| {
            let spot = (item.target.context().clone(), blob.digest);
            lacking.contains(&spot) && !self.holders.contains_key(&spot)
        };
        let nowhere: Vec<&Descriptor> = item.assumed.iter().map(|blob| &**blob).filter(is_nowhere).collect();
        let first = nowhere.first()?;
        let doubt = nowhere.iter().find_map(|blob| Some((*blob, doubts.get(&blob.digest)?)));
        let cause = match doubt {
            // Whether it is there is not known, so the hint does not say to fetch it.
            Some((blob, error)) => Cause::Blob { digest: blob.digest, size: blob.size, source: Arc::clone(error) },
            None => Cause::BaseMissing {
                blobs: nowhere.len(),
                bytes: nowhere.iter().fold(0, |sum, blob| u64::saturating_add(sum, blob.size)),
                first: first.digest,
                bundles: self.bundles_with(item, &nowhere),
            },
        };
        Some(Failure { artifact: item.reference.clone(), side: Side::Target, cause })
    }

    /// Bundles that have `blobs`, by the word of the bundle that lacks them.
    fn bundles_with(&self, item: &ImportItem, blobs: &[&Descriptor]) -> BTreeSet<Digest> {
        let absent = &self.supplies[item.supply].contents().absent;
        blobs.iter().filter_map(|blob| absent.get(&blob.digest)).flat_map(|absent| &absent.bundles).copied().collect()
    }
}
