//! Blobs of bundles that lie in a storage: read by ranges, of the one version that was opened.
//!
//! As with files, a blob is hashed when it is read whole for the first time, and its last bytes leave only if the digest is
//! right. A version does not change, so what was found right stays right for as long as the server runs.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use super::file::{BlobState, OwnersOf};
use crate::{
    content::{ByteStream, Error, ReadAt},
    oci::{Digest, Hasher},
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};

/// A blob in a storage.
#[derive(Clone, Debug)]
pub(super) struct RemoteBlob {
    /// The bundle.
    pub(super) from: Arc<dyn ReadAt>,
    /// Of the blob's first byte in it.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// What was seen of the bundle's blobs.
    pub(super) seen: SeenBlobs,
}

/// What is known of the blobs that were read whole.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenBlobs(Arc<Mutex<HashMap<Digest, BlobState>>>);

impl SeenBlobs {
    fn state(&self, digest: &Digest) -> BlobState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied().unwrap_or(BlobState::Unknown)
    }

    fn note(&self, digest: Digest, state: BlobState) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, state);
    }
}

impl RemoteBlob {
    /// What is known of its bytes.
    pub(super) fn state(&self) -> BlobState {
        self.seen.state(&self.digest)
    }

    /// The bytes of `part`. If it is the whole of a blob that was not read yet, the last ones come only once its digest
    /// was found right.
    pub(super) async fn stream(
        &self,
        part: Range<u64>,
        owners: OwnersOf,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let whole = part == (0..self.size) && self.state() != BlobState::Good;
        let hasher = whole.then(|| Hasher::new(self.digest.algorithm()));
        let bytes = self.from.read(self.offset + part.start..self.offset + part.end).await?;
        let passing = VerifyingStream { far: self.clone(), bytes, hasher, held: None, owners };
        Ok(stream::try_unfold(Some(passing), async |passing| {
            let Some(mut passing) = passing else { return Ok(None) };
            let next = passing.next().await.inspect_err(|error| {
                let (RemoteBlob { from, digest, .. }, artifact) = (&passing.far, (passing.owners)(&passing.far.digest));
                tracing::error!(place = from.name(), blob = %digest, artifact, %error, "no client gets the end of the blob");
            })?;
            Ok(next.map(|(chunk, more)| (chunk, more.then_some(passing))))
        }))
    }

    /// Reads all of it and throws it away, unless that was done before.
    pub(super) async fn verify(&self, owners: OwnersOf) -> Result<(), Error> {
        if self.size > 0 && self.state() != BlobState::Good {
            self.stream(0..self.size, owners).await?.try_for_each(async |_| Ok(())).await?;
        }
        Ok(())
    }
}

/// A blob on its way through.
struct VerifyingStream {
    far: RemoteBlob,
    bytes: ByteStream,
    /// While all of it passes for the first time.
    hasher: Option<Hasher>,
    /// The last chunk that came; it leaves when the next one is there, or the digest is right.
    held: Option<Bytes>,
    owners: OwnersOf,
}

impl VerifyingStream {
    /// The next chunk, and whether there are more.
    async fn next(&mut self) -> Result<Option<(Bytes, bool)>, Error> {
        loop {
            let Some(chunk) = self.bytes.try_next().await? else {
                self.conclude()?;
                return Ok(self.held.take().map(|last| (last, false)));
            };
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&chunk);
            }
            if let Some(before) = self.held.replace(chunk) {
                return Ok(Some((before, true)));
            }
        }
    }

    fn conclude(&mut self) -> Result<(), Error> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let (expected, actual) = (self.far.digest, hasher.finish());
        if expected != actual {
            self.far.seen.note(expected, BlobState::Damaged);
            return Err(Error::DigestMismatch { expected, actual });
        }
        self.far.seen.note(expected, BlobState::Good);
        Ok(())
    }
}
