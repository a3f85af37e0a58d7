//! The reader behind the traits of the seam: content by digest, manifests by name, what is attached to what.

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Error, Reader,
    random_access::RandomAccess,
    reader::{FoundBlob, OpenBundle},
    scan::BlobSpot,
};
use crate::{
    content::{self, ByteStream, Lookup, Referrers, Resolve, Source},
    files::{
        blocking::{joined, off_reactor},
        disk,
    },
    oci::{Descriptor, Digest, Manifest, Name},
};

/// Bytes of a chunk of [`Source::fetch`]; two are in memory for each stream.
const CHUNK: u64 = 512 << 10;

#[async_trait]
impl Lookup for Reader {
    /// Whether `content` is stored here; it is not hashed.
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        if self.manifest(&content.digest).is_some() {
            return Ok(true);
        }
        let inner = Arc::clone(&self.0);
        let digest = content.digest;
        Ok(off_reactor(move || inner.find_parts(&digest)).await?.is_some())
    }
}

#[async_trait]
impl Source for Reader {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        if let Some(manifest) = self.manifest(&content.digest) {
            let start = usize::try_from(from).unwrap_or(usize::MAX).min(manifest.raw().len());
            let rest = manifest.raw().slice(start..);
            return Ok(stream::iter([Ok(rest)]).boxed());
        }
        let inner = Arc::clone(&self.0);
        let blob = content.clone();
        let mut skip = from;
        let mut parts = Vec::new();
        for FoundBlob { file, spot } in off_reactor(move || inner.find_sized(&blob.digest, blob.size)).await? {
            let gone = skip.min(spot.size);
            skip -= gone;
            let (at, end) = (spot.offset + gone, spot.offset + spot.size);
            if at < end || parts.is_empty() {
                parts.push((file, at, end));
            }
        }
        // Content in one place is asked for at once, so that a place without it says so now.
        if parts.len() == 1
            && let Some((RandomAccess::Remote(remote), at, end)) = parts.first()
        {
            return remote.from().read(*at..*end).await;
        }
        let (inner, digest) = (Arc::clone(&self.0), content.digest);
        let streams = stream::iter(parts).flat_map(move |(file, at, end)| match file {
            RandomAccess::File(file) => RangeChunks { inner: Arc::clone(&inner), file, digest, at, end }.stream(),
            RandomAccess::Remote(remote) => {
                let opened = async move { remote.from().read(at..end).await };
                stream::once(opened).try_flatten().boxed()
            }
        });
        Ok(streams.boxed())
    }
}

/// A range of a file, read chunk by chunk, one ahead of who takes them.
struct RangeChunks {
    inner: Arc<OpenBundle>,
    file: Arc<File>,
    digest: Digest,
    at: u64,
    end: u64,
}

impl RangeChunks {
    fn stream(mut self) -> ByteStream {
        let first = self.read_next();
        stream::unfold((self, first), |(mut chunks, next)| async move {
            let chunk = joined(next?).await;
            let next = if chunk.is_ok() { chunks.read_next() } else { None };
            Some((chunk, (chunks, next)))
        })
        .boxed()
    }

    /// Begins to read the next chunk; `None` at the end.
    fn read_next(&mut self) -> Option<tokio::task::JoinHandle<content::Result<Bytes>>> {
        let size = CHUNK.min(self.end - self.at);
        if size == 0 {
            return None;
        }
        let (inner, file, digest, at, end) =
            (Arc::clone(&self.inner), Arc::clone(&self.file), self.digest, self.at, self.end);
        self.at += size;
        Some(tokio::task::spawn_blocking(move || match disk::read_at(&file, at, usize::try_from(size).unwrap_or(0)) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(inner.ends_early(BlobSpot { offset: at, size: end - at }, &digest).into())
            }
            Err(error) => Err(Error::read(&inner.path)(error).into()),
        }))
    }
}

#[async_trait]
impl Resolve for Reader {
    /// By digest, or by a tag of which the bundle's artifacts have exactly one.
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        let not_found = || content::Error::NotFound { what: name.to_string() };
        let digest = match name {
            Name::Digest(digest) => *digest,
            Name::Tag(tag) => {
                let mut tagged = self.index().roots().iter().filter(|root| root.reference.tag() == Some(tag));
                let first = tagged.next().ok_or_else(not_found)?.descriptor.digest;
                if tagged.any(|root| root.descriptor.digest != first) {
                    return Err(content::Error::NotFound { what: format!("{tag} without a repository") });
                }
                first
            }
        };
        self.manifest(&digest).cloned().ok_or_else(not_found)
    }
}

#[async_trait]
impl Referrers for Reader {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        let manifests = self.0.contents.manifests.values();
        let attached = manifests.filter(|manifest| manifest.subject().is_some_and(|found| found.digest == *subject));
        let mut found: Vec<Descriptor> = attached.map(|manifest| manifest.descriptor().clone()).collect();
        found.sort_by_key(|descriptor| descriptor.digest);
        Ok(found)
    }
}
