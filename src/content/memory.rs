//! The reference implementation of every trait of the seam: repositories held in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    Assign, ByteStream, Error, Lookup, Origin, Origins, Referrers, Resolve, Result, Sink, Source, Target, Targets,
    Verified,
};
use crate::oci::{Descriptor, Digest, Manifest, Name, Repository, Tag, media_type};

/// Bytes of one chunk of a fetched stream; small, so that tests see more than one.
const CHUNK: usize = 16 << 10;

/// A repository in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<MemoryContents>);

#[derive(Debug, Default)]
struct MemoryContents {
    blobs: HashMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
}

impl Memory {
    /// An empty repository.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every tag and what it names, in the order of the tags.
    pub fn tags(&self) -> Vec<(Tag, Digest)> {
        self.lock().tags.iter().map(|(tag, digest)| (tag.clone(), *digest)).collect()
    }

    /// Loses a blob.
    #[cfg(test)]
    pub(crate) fn forget(&self, blob: &Digest) {
        self.lock().blobs.remove(blob);
    }

    fn lock(&self) -> MutexGuard<'_, MemoryContents> {
        // A panic in another test thread cannot leave the maps half-changed: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Lookup for Memory {
    async fn contains(&self, content: &Descriptor) -> Result<bool> {
        let contents = self.lock();
        Ok(contents.blobs.contains_key(&content.digest) || contents.manifests.contains_key(&content.digest))
    }
}

#[async_trait]
impl Source for Memory {
    async fn fetch(&self, content: &Descriptor, from: u64) -> Result<ByteStream> {
        let contents = self.lock();
        let bytes = contents
            .blobs
            .get(&content.digest)
            .or_else(|| contents.manifests.get(&content.digest).map(Manifest::raw))
            .ok_or_else(|| Error::NotFound { what: content.digest.to_string() })?;
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.slice(start..);
        let chunks = (0..rest.len()).step_by(CHUNK).map(|at| Ok(rest.slice(at..rest.len().min(at + CHUNK))));
        Ok(stream::iter(chunks.collect::<Vec<_>>()).boxed())
    }
}

#[async_trait]
impl Sink for Memory {
    async fn push(&self, content: &Descriptor, body: Verified) -> Result<()> {
        let bytes = body.collect().await?;
        if media_type::is_manifest(&content.media_type) {
            let manifest = Manifest::parse_as(bytes, Some(&content.media_type), content.digest.algorithm())?;
            self.lock().manifests.insert(content.digest, manifest);
        } else {
            self.lock().blobs.insert(content.digest, bytes);
        }
        Ok(())
    }
}

#[async_trait]
impl Resolve for Memory {
    async fn resolve(&self, name: &Name) -> Result<Manifest> {
        let contents = self.lock();
        let digest = match name {
            Name::Digest(digest) => Some(digest),
            Name::Tag(tag) => contents.tags.get(tag),
        };
        digest
            .and_then(|digest| contents.manifests.get(digest))
            .cloned()
            .ok_or_else(|| Error::NotFound { what: name.to_string() })
    }
}

#[async_trait]
impl Assign for Memory {
    async fn tag(&self, tag: &Tag, manifest: &Manifest) -> Result<()> {
        self.lock().tags.insert(tag.clone(), manifest.digest());
        Ok(())
    }
}

#[async_trait]
impl Referrers for Memory {
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let contents = self.lock();
        let attached = contents.manifests.values().filter(|m| m.subject().is_some_and(|s| s.digest == *subject));
        Ok(attached.map(|manifest| manifest.descriptor().clone()).collect())
    }
}

impl Origin for Memory {}
impl Target for Memory {}

/// Repositories in memory. Cloning it is cheap; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Memories(Arc<Mutex<HashMap<Repository, Arc<Memory>>>>);

impl Memories {
    /// The repository of that name.
    pub fn repository(&self, repository: &Repository) -> Arc<Memory> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(repository.clone()).or_default())
    }
}

impl Origins for Memories {
    fn origin(&self, repository: &Repository) -> Arc<dyn Origin> {
        self.repository(repository)
    }
}

impl Targets for Memories {
    fn target(&self, repository: &Repository) -> Arc<dyn Target> {
        self.repository(repository)
    }

    fn source(&self, repository: &Repository) -> Option<Arc<dyn Source>> {
        Some(self.origin(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::conformance;

    #[tokio::test]
    async fn memory_is_a_place() {
        let memory = Memory::new();
        conformance::content(&memory).await;
        conformance::names(&memory).await;
    }
}
