//! What changed between two places: bundles, heads, receipts, stores, layouts and registries.

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{
    super::{
        destination::{RegistryPrefix, Renaming},
        error::Error,
    },
    open::{BaseLocation, Held, read},
};
use crate::{
    bundle::{Contents, Graph},
    content::Targets,
    oci::{Digest, Reference},
    progress::Progress,
    storage::{Location, Settings},
};

/// Questions to a registry at once.
const REQUESTS: usize = 16;

/// What changed from one place to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Artifacts that only the second place has.
    pub added: Vec<Changed>,
    /// Artifacts that only the first place has.
    pub removed: Vec<Changed>,
    /// Artifacts that both have, and that differ.
    pub moved: Vec<Changed>,
    /// Artifacts that are the same in both.
    pub unchanged: u64,
    /// Blobs that only the second place has; `None` if a place does not list blobs with their sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_blobs: Option<u64>,
    /// Their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_bytes: Option<u64>,
}

/// An artifact that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Changed {
    /// Its name.
    pub reference: Reference,
    /// Its root in the first place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
    /// Its root in the second place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Digest>,
    /// Bytes of its manifests and blobs, as the place says that has it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What a place says that it has.
#[derive(Debug, Default)]
struct Snapshot {
    artifacts: BTreeMap<String, (Reference, Digest, Option<u64>)>,
    blobs: Option<BTreeMap<Digest, Option<u64>>>,
}

/// What is different in `to` from what is in `from`. A registry is asked for the artifacts of the other place.
///
/// # Errors
/// A place cannot be read, or both are registries, which have nothing to be asked for.
pub async fn diff(
    from: &BaseLocation,
    to: &BaseLocation,
    registries: &dyn Targets,
    settings: &Settings,
    progress: &Progress,
) -> Result<Difference, Error> {
    let (first, second) = match (from, to) {
        (BaseLocation::Place(from), BaseLocation::Place(to)) => {
            (listed(read(from, settings, progress).await?)?, listed(read(to, settings, progress).await?)?)
        }
        (BaseLocation::Place(from), BaseLocation::Registry(registry)) => {
            let first = listed(read(from, settings, progress).await?)?;
            let second = asked(&first, registry, registries).await?;
            (first, second)
        }
        (BaseLocation::Registry(registry), BaseLocation::Place(to)) => {
            let second = listed(read(to, settings, progress).await?)?;
            (asked(&second, registry, registries).await?, second)
        }
        (BaseLocation::Registry(_), BaseLocation::Registry(_)) => return Err(Error::TwoRegistries),
    };
    Ok(first.difference(&second))
}

/// The artifacts that a place has, by name.
///
/// # Errors
/// It cannot be read.
pub(super) async fn named(
    place: &Location,
    settings: &Settings,
    progress: &Progress,
) -> Result<BTreeMap<Reference, Digest>, Error> {
    let snapshot = listed(read(place, settings, progress).await?)?;
    Ok(snapshot.artifacts.into_values().map(|(reference, digest, _)| (reference, digest)).collect())
}

fn listed(held: Held) -> Result<Snapshot, Error> {
    match held {
        Held::Contents { contents, .. } => of_contents(&contents),
        Held::Receipt(receipt) => {
            let confirmed = receipt.artifacts.into_iter().filter(|artifact| artifact.result.is_confirmed());
            let artifacts = confirmed
                .map(|one| (one.reference.to_string(), (one.reference, one.digest, Some(one.bytes))))
                .collect();
            let blobs = receipt.holdings.into_iter().flat_map(|holding| holding.blobs);
            Ok(Snapshot { artifacts, blobs: Some(blobs.map(|blob| (blob, None)).collect()) })
        }
    }
}

fn of_contents(contents: &Contents) -> Result<Snapshot, Error> {
    let graph = Graph::of(contents);
    let mut artifacts = BTreeMap::new();
    let mut blobs = BTreeMap::new();
    for member in graph.members()? {
        let attached = graph.attached(&member)?;
        let manifests: Vec<_> = member.manifests.manifests().chain(attached.manifests()).collect();
        let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
        for manifest in manifests {
            let own = manifest.descriptor();
            sizes.insert(own.digest, own.size);
            sizes.extend(manifest.blobs().map(|blob| (blob.digest, blob.size)));
            blobs.extend(manifest.blobs().map(|blob| (blob.digest, Some(blob.size))));
        }
        let bytes = sizes.values().fold(0, |sum, size| u64::saturating_add(sum, *size));
        let reference = member.root.reference.clone();
        artifacts.insert(reference.to_string(), (reference, member.root.descriptor.digest, Some(bytes)));
    }
    Ok(Snapshot { artifacts, blobs: Some(blobs) })
}

/// What a registry has of the artifacts of `other`.
async fn asked(other: &Snapshot, to: &RegistryPrefix, registries: &dyn Targets) -> Result<Snapshot, Error> {
    let renaming = Renaming { to: to.clone(), keep_host: false, rules: Vec::new() };
    let asking = other.artifacts.iter().map(|(name, (reference, digest, bytes))| {
        let target = renaming.reference(reference, *digest);
        async move {
            let artifact = || Box::new(reference.clone());
            let target = target.map_err(|source| Error::Rename { artifact: artifact(), source })?;
            let found = registries.target(target.context()).head(&target.name()).await?;
            let bytes = bytes.filter(|_| found == Some(*digest));
            Ok::<_, Error>(found.map(|found| (name.clone(), (reference.clone(), found, bytes))))
        }
    });
    let asking: Vec<_> = asking.collect();
    let answers = stream::iter(asking).buffered(REQUESTS);
    let artifacts = answers.try_filter_map(async |found| Ok(found)).try_collect().await?;
    Ok(Snapshot { artifacts, blobs: None })
}

impl Snapshot {
    fn difference(&self, later: &Self) -> Difference {
        let mut found = Difference::default();
        for (name, (reference, digest, bytes)) in &later.artifacts {
            let before = self.artifacts.get(name).map(|(_, digest, _)| *digest);
            let changed = Changed { reference: reference.clone(), from: before, to: Some(*digest), bytes: *bytes };
            match before {
                None => found.added.push(changed),
                Some(before) if before != *digest => found.moved.push(changed),
                Some(_) => found.unchanged += 1,
            }
        }
        for (name, (reference, digest, bytes)) in &self.artifacts {
            if !later.artifacts.contains_key(name) {
                let reference = reference.clone();
                found.removed.push(Changed { reference, from: Some(*digest), to: None, bytes: *bytes });
            }
        }
        if let (Some(before), Some(blobs)) = (&self.blobs, &later.blobs) {
            let before: HashSet<&Digest> = before.keys().collect();
            let new: Vec<_> = blobs.iter().filter(|(blob, _)| !before.contains(blob)).collect();
            let sizes: Option<Vec<u64>> = new.iter().map(|(_, size)| **size).collect();
            found.new_blobs = Some(new.len() as u64);
            found.new_bytes = sizes.map(|sizes| sizes.into_iter().fold(0, u64::saturating_add));
        }
        found
    }
}
