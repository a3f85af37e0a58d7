//! What is done to the target: blobs go up or are mounted, and a complete artifact is published.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{
        execute::{BrokenMove, Meter, Move},
        items::ImportItem,
    },
    plan::REQUESTS,
};
use crate::{
    content::{self, Source, Target, Verified},
    oci::{Descriptor, Digest, Manifest, Repository},
};

/// A blob, and the repositories that lack it.
pub(super) struct BlobPush {
    pub(super) blob: Descriptor,
    pub(super) origins: Vec<Arc<dyn Source>>,
    pub(super) lacking: Vec<(Repository, Arc<dyn Target>)>,
    /// A repository of the same place that has it, to mount it from.
    pub(super) holder: Option<Repository>,
    /// Which of the supplies it comes from.
    pub(super) supply: usize,
}

impl BlobPush {
    pub(super) async fn run(self, meter: &Meter) -> Result<(), BrokenMove> {
        let mut holder = self.holder;
        for (name, target) in self.lacking {
            if let (Some(mounts), Some(holder)) = (target.mounts(), &holder)
                // A place that will not mount takes the bytes.
                && mounts.mount(&self.blob, holder).await.unwrap_or(false)
            {
                continue;
            }
            let one = Move { blob: self.blob.clone(), origins: self.origins.clone(), arrived: None };
            one.run(&*target, meter).await?;
            holder = Some(name);
        }
        Ok(())
    }
}

/// Locks by key, made when they are asked for.
#[derive(Default)]
struct Locks(Mutex<HashMap<(Repository, Digest), SubjectLock>>);

type SubjectLock = Arc<tokio::sync::Mutex<()>>;

impl Locks {
    fn of(&self, repository: &Repository, subject: Digest) -> SubjectLock {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((repository.clone(), subject)).or_default())
    }
}

/// Publishes artifacts whose blobs are all there.
#[derive(Default)]
pub(super) struct Publisher {
    /// Two artifacts of a run may share a subject, and its list of referrers may be one document that is read, changed and
    /// written: one at a time.
    subjects: Locks,
}

impl Publisher {
    /// Puts an artifact into the target: manifests, attached, tag. Says whether anything was new. Of one whose tag is in
    /// place already, only what is attached is looked at.
    pub(super) async fn publish(
        &self,
        item: &ImportItem,
        target: Arc<dyn Target>,
        is_complete: bool,
    ) -> content::Result<bool> {
        let repository = item.target.context();
        let mut changed = false;
        if !is_complete {
            for manifest in &item.manifests {
                changed |= push_missing(manifest, &*target).await?;
            }
        }
        for wave in waves(&item.attached) {
            let attaching = wave.into_iter().map(|(subject, manifests)| {
                let target = Arc::clone(&target);
                async move { self.attach(repository, &*target, subject, manifests).await }
            });
            let attaching: Vec<_> = attaching.collect();
            let attached = stream::iter(attaching).buffer_unordered(REQUESTS);
            changed |= attached.try_fold(false, async |any, new| Ok(any | new)).await?;
        }
        if let Some(tag) = item.target.tag()
            && !is_complete
        {
            target.tag(tag, item.root()).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// Puts what is missing of `manifests`, which are attached to `subject`, or parts of what is attached where there is none.
    async fn attach(
        &self,
        repository: &Repository,
        target: &dyn Target,
        subject: Option<Digest>,
        manifests: Vec<&Manifest>,
    ) -> content::Result<bool> {
        let Some(subject) = subject else {
            let mut changed = false;
            for manifest in manifests {
                changed |= push_missing(manifest, target).await?;
            }
            return Ok(changed);
        };
        let lock = self.subjects.of(repository, subject);
        let _one_at_a_time = lock.lock().await;
        let known: HashSet<Digest> = target.referrers(&subject).await?.iter().map(|one| one.digest).collect();
        let missing: Vec<Manifest> =
            manifests.into_iter().filter(|manifest| !known.contains(&manifest.digest())).cloned().collect();
        if !missing.is_empty() {
            target.attach(&subject, &missing).await?;
        }
        Ok(!missing.is_empty())
    }
}

/// Manifests that are attached to one subject, or to none.
type AttachedGroup<'a> = (Option<Digest>, Vec<&'a Manifest>);

/// `attached`, in which each comes after what it needs, by subject, in waves: what a manifest of a wave is attached to, and
/// what it names, is in the waves before.
fn waves(attached: &[Manifest]) -> Vec<Vec<AttachedGroup<'_>>> {
    let mut places: HashMap<Digest, usize> = HashMap::new();
    let mut waves: Vec<Vec<AttachedGroup<'_>>> = Vec::new();
    for manifest in attached {
        let subject = manifest.subject().map(|subject| subject.digest);
        let needed = manifest.children().iter().map(|child| child.digest).chain(subject);
        let place = needed.filter_map(|digest| places.get(&digest)).max().map_or(0, |last| last + 1);
        places.insert(manifest.digest(), place);
        if place == waves.len() {
            waves.push(Vec::new());
        }
        let wave = &mut waves[place];
        match wave.iter_mut().find(|(of, _)| *of == subject) {
            Some((_, manifests)) => manifests.push(manifest),
            None => wave.push((subject, vec![manifest])),
        }
    }
    waves
}

async fn push_missing(manifest: &Manifest, target: &dyn Target) -> content::Result<bool> {
    let there = target.contains(manifest.descriptor()).await?;
    if !there {
        let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
        target.push(manifest.descriptor(), body).await?;
    }
    Ok(!there)
}
