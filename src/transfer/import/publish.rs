//! What is done to the target: blobs go up or are mounted, and a complete artifact is published.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};

use super::super::{
    execute::{BrokenMove, Meter, Move},
    items::ImportItem,
    named::NamedBlob,
};
use crate::{
    content::{self, Source, Target, Verified},
    oci::{Descriptor, Digest, Manifest, Repository},
};

/// A repository of the target, shared by all blobs that go there.
pub(super) struct NamedTarget {
    pub(super) name: Repository,
    pub(super) target: Arc<dyn Target>,
}

/// A blob, and the repositories that lack it.
pub(super) struct BlobPush {
    pub(super) blob: NamedBlob,
    pub(super) lacking: Vec<Arc<NamedTarget>>,
    /// A repository of the same place that has it, to mount it from.
    pub(super) holder: Option<Repository>,
    /// Which of the supplies it comes from.
    pub(super) supply: usize,
    /// Whether the supply leaves it to the target: it is read from `holder`.
    pub(super) is_assumed: bool,
}

impl BlobPush {
    /// Moves it, as `blob` describes it, from any of `origins`.
    pub(super) async fn run(
        self,
        blob: &Descriptor,
        origins: Vec<Arc<dyn Source>>,
        meter: &Meter,
    ) -> Result<(), BrokenMove> {
        let mut holder = self.holder;
        for to in self.lacking {
            if let (Some(mounts), Some(holder)) = (to.target.mounts(), &holder)
                // A place that will not mount takes the bytes.
                && mounts.mount(blob, holder).await.unwrap_or(false)
            {
                continue;
            }
            let one = Move { blob: blob.clone(), origins: origins.clone(), arrived: None };
            one.run(&*to.target, meter).await?;
            holder = Some(to.name.clone());
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
pub(super) struct Publisher {
    /// Requests of one artifact at once.
    at_once: usize,
    /// Two artifacts of a run may share a subject, and its list of referrers may be one document that is read, changed and
    /// written: one at a time.
    subjects: Locks,
}

impl Publisher {
    /// A publisher with so many requests of one artifact at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, subjects: Locks::default() }
    }

    /// Puts an artifact into the target: manifests, attached, tag. Says whether anything was new. Of one whose tag is in
    /// place already, only what is attached is looked at.
    pub(super) async fn publish(
        &self,
        item: &ImportItem,
        target: Arc<dyn Target>,
        is_complete: bool,
    ) -> content::Result<bool> {
        let repository = item.target.context();
        let tag = item.target.tag().filter(|_| !is_complete);
        let mut changed = tag.is_some();
        if !is_complete {
            // What is attached comes before the tag, and after what it is attached to.
            let root_comes_with_its_tag = tag.is_some() && item.attached.is_empty();
            let own = &item.manifests[..item.manifests.len() - usize::from(root_comes_with_its_tag)];
            for level in levels(own, |manifest| manifest.children().iter().map(|child| child.digest).collect()) {
                let pushing: Vec<_> = level
                    .into_iter()
                    .map(|manifest| {
                        let target = Arc::clone(&target);
                        // To ask first costs as much as to put it, and by a new tag something is new in any case.
                        async move {
                            if tag.is_some() {
                                push(manifest, &*target).await
                            } else {
                                push_missing(manifest, &*target).await
                            }
                        }
                    })
                    .collect();
                changed |= self.any(pushing).await?;
            }
        }
        for level in levels(&item.attached, needs) {
            let attaching: Vec<_> = by_subject(level)
                .into_iter()
                .map(|(subject, manifests)| {
                    let target = Arc::clone(&target);
                    async move { self.attach(repository, &*target, subject, manifests, is_complete).await }
                })
                .collect();
            changed |= self.any(attaching).await?;
        }
        match tag {
            Some(tag) => target.put(tag, item.root()).await?,
            None if changed && item.target.tag().is_none() => target.confirm(item.root()).await?,
            None => {}
        }
        Ok(changed)
    }

    /// Does `steps`, several at once. Whether any of them changed anything.
    async fn any(&self, steps: Vec<impl Future<Output = content::Result<bool>>>) -> content::Result<bool> {
        let done = stream::iter(steps).buffer_unordered(self.at_once.max(1));
        done.try_fold(false, async |any, new| Ok(any | new)).await
    }

    /// Puts what is missing of `manifests`, which are attached to `subject`, or parts of what is attached where there is none.
    async fn attach(
        &self,
        repository: &Repository,
        target: &dyn Target,
        subject: Option<Digest>,
        manifests: Vec<&Manifest>,
        is_listed: bool,
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
        // Of an artifact that is new, nothing is expected to be there; what is there is put once more.
        let known = if is_listed { target.referrers(&subject).await? } else { Vec::new() };
        let known: HashSet<Digest> = known.iter().map(|one| one.digest).collect();
        let missing: Vec<Manifest> =
            manifests.into_iter().filter(|manifest| !known.contains(&manifest.digest())).cloned().collect();
        if !missing.is_empty() {
            target.attach(&subject, &missing).await?;
        }
        Ok(!missing.is_empty())
    }
}

/// `manifests`, in which each comes after what it `needs`, in levels: what a manifest needs is in the levels before its own.
fn levels(manifests: &[Manifest], needs: impl Fn(&Manifest) -> Vec<Digest>) -> Vec<Vec<&Manifest>> {
    let mut places: HashMap<Digest, usize> = HashMap::new();
    let mut levels: Vec<Vec<&Manifest>> = Vec::new();
    for manifest in manifests {
        let needed = needs(manifest);
        let place = needed.iter().filter_map(|digest| places.get(digest)).max().map_or(0, |last| last + 1);
        places.insert(manifest.digest(), place);
        if place == levels.len() {
            levels.push(Vec::new());
        }
        levels[place].push(manifest);
    }
    levels
}

/// What an attached manifest comes after: what it is attached to, and what it names.
fn needs(attached: &Manifest) -> Vec<Digest> {
    let subject = attached.subject().map(|subject| subject.digest);
    attached.children().iter().map(|child| child.digest).chain(subject).collect()
}

/// Manifests that are attached to one subject, or to none.
type AttachedGroup<'a> = (Option<Digest>, Vec<&'a Manifest>);

fn by_subject(manifests: Vec<&Manifest>) -> Vec<AttachedGroup<'_>> {
    let mut groups: Vec<AttachedGroup<'_>> = Vec::new();
    for manifest in manifests {
        let subject = manifest.subject().map(|subject| subject.digest);
        match groups.iter_mut().find(|(of, _)| *of == subject) {
            Some((_, group)) => group.push(manifest),
            None => groups.push((subject, vec![manifest])),
        }
    }
    groups
}

async fn push(manifest: &Manifest, target: &dyn Target) -> content::Result<bool> {
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    target.push(manifest.descriptor(), body).await?;
    Ok(true)
}

async fn push_missing(manifest: &Manifest, target: &dyn Target) -> content::Result<bool> {
    if target.contains(manifest.descriptor()).await? {
        return Ok(false);
    }
    push(manifest, target).await
}
