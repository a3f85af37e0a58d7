//! What is done to the target: blobs go up or are mounted, and a complete artifact is published.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::Mutex;

use super::super::{execute::Move, items::Item};
use crate::{
    content::{self, Assign, Lookup, Referrers, Sink, Source, Verified},
    oci::{Descriptor, Manifest, Name},
    progress::Progress,
    registry::Repository,
};

/// A blob, and the repositories that lack it.
pub(super) struct Push {
    pub(super) blob: Descriptor,
    pub(super) origins: Vec<Arc<dyn Source>>,
    pub(super) lacking: Vec<Repository>,
    /// A repository of the same registry that has it, to mount it from.
    pub(super) holder: Option<String>,
}

impl Push {
    pub(super) async fn run(mut self, progress: Progress, moved: Arc<AtomicU64>) -> content::Result<()> {
        for repository in std::mem::take(&mut self.lacking) {
            if let Some(holder) = &self.holder
                // A registry that will not mount takes the bytes.
                && repository.mount(&self.blob, holder).await.unwrap_or(false)
            {
                continue;
            }
            let one = Move { blob: self.blob.clone(), origins: self.origins.clone(), arrived: None };
            one.run(&repository, &progress, &moved).await?;
            self.holder = Some(repository.repository().to_owned());
        }
        Ok(())
    }
}

/// Puts an artifact whose blobs are all there into the target: manifests, attached, tag. Says whether anything was new.
pub(super) async fn publish(
    item: &Item,
    target: &Repository,
    in_place: bool,
    attaching: &Mutex<()>,
) -> content::Result<bool> {
    let mut changed = false;
    for manifest in &item.manifests {
        changed |= push_missing(manifest, target).await?;
    }
    for manifest in &item.attached {
        let subject = manifest.subject().map(|subject| subject.digest);
        // Two artifacts of the run may share a subject, and its list of referrers may be one document that is read,
        // changed and written.
        let _one_at_a_time = attaching.lock().await;
        let known = match subject {
            Some(subject) => target.referrers(&subject).await?.iter().any(|one| one.digest == manifest.digest()),
            None => target.contains(manifest.descriptor()).await?,
        };
        if !known {
            push(manifest, target).await?;
            changed = true;
        }
    }
    if let Some(tag) = item.target.tag()
        && !in_place
    {
        target.tag(tag, item.root()).await?;
        changed = true;
    }
    Ok(changed)
}

async fn push_missing(manifest: &Manifest, target: &Repository) -> content::Result<bool> {
    let there = target.head(&Name::Digest(manifest.digest())).await?.is_some();
    if !there {
        push(manifest, target).await?;
    }
    Ok(!there)
}

async fn push(manifest: &Manifest, target: &Repository) -> content::Result<()> {
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    target.push(manifest.descriptor(), body).await
}
