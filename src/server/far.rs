//! Blobs of bundles that lie in a storage: read by ranges, of the one version that was opened.
//!
//! As with files, a blob is hashed when it is read whole for the first time, and its last bytes leave only if the digest is
//! right. A version does not change, so what was found right stays right for as long as the server runs.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use http::{HeaderMap, StatusCode};

use super::{
    Registry,
    answer::{self, Answer, Failure, Outcome},
    body::Body,
    closure::Asked,
    file::State,
    pull::{as_part, describe_blob, name_content, no_such_range, not_modified, wanted},
    range::Wanted,
    shelf::{At, Shelf},
};
use crate::{
    content::{ByteStream, Error, ReadAt},
    oci::{Digest, Hasher, error_code::ErrorCode},
};

/// A blob in a storage.
#[derive(Clone, Debug)]
pub(super) struct Far {
    /// The bundle.
    pub(super) from: Arc<dyn ReadAt>,
    /// Of the blob's first byte in it.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// What was seen of the bundle's blobs.
    pub(super) seen: Seen,
}

/// What is known of the blobs that were read whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<HashMap<Digest, State>>>);

impl Seen {
    fn state(&self, digest: &Digest) -> State {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied().unwrap_or(State::Unknown)
    }

    fn note(&self, digest: Digest, state: State) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, state);
    }
}

impl Far {
    /// What is known of its bytes.
    pub(super) fn state(&self) -> State {
        self.seen.state(&self.digest)
    }

    /// The bytes of `part`. If it is the whole of a blob that nobody has read yet, the last ones come only once its digest
    /// was found right.
    async fn stream(
        &self,
        part: Range<u64>,
        asked: Asked,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let whole = part == (0..self.size) && self.state() != State::Good;
        let hasher = whole.then(|| Hasher::new(self.digest.algorithm()));
        let bytes = self.from.read(self.offset + part.start..self.offset + part.end).await?;
        let passing = Passing { far: self.clone(), bytes, hasher, held: None, asked };
        Ok(stream::try_unfold(Some(passing), async |passing| {
            let Some(mut passing) = passing else { return Ok(None) };
            let next = passing.next().await.inspect_err(|error| {
                let (Far { from, digest, .. }, artifact) = (&passing.far, passing.asked.artifacts(&passing.far.digest));
                tracing::error!(place = from.name(), blob = %digest, artifact, %error, "nobody is given the end of the blob");
            })?;
            Ok(next.map(|(chunk, more)| (chunk, more.then_some(passing))))
        }))
    }

    /// Reads all of it and throws it away, unless that was done before.
    pub(super) async fn verify(&self, asked: Asked) -> Result<(), Error> {
        if self.size > 0 && self.state() != State::Good {
            self.stream(0..self.size, asked).await?.try_for_each(async |_| Ok(())).await?;
        }
        Ok(())
    }
}

/// A blob on its way through.
struct Passing {
    far: Far,
    bytes: ByteStream,
    /// While all of it passes for the first time.
    hasher: Option<Hasher>,
    /// The last chunk that came; it leaves when the next one is there, or the digest is right.
    held: Option<Bytes>,
    asked: Asked,
}

impl Passing {
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
            self.far.seen.note(expected, State::Damaged);
            return Err(Error::DigestMismatch { expected, actual });
        }
        self.far.seen.note(expected, State::Good);
        Ok(())
    }
}

impl Registry {
    /// `GET` of a blob that no shelf has at hand.
    pub(super) async fn pull_far(&self, at: At<'_>, digest: &Digest, headers: &HeaderMap) -> Outcome {
        let far = self.shelves.far(at, digest)?.ok_or_else(|| Failure::blob_unknown(digest))?;
        if not_modified(headers, digest) {
            let mut answer = answer::empty(StatusCode::NOT_MODIFIED);
            name_content(&mut answer, digest);
            return Ok(answer);
        }
        let (size, asked) = (far.size, Asked::new(&self.shelves, at));
        match wanted(headers, digest, size) {
            Wanted::Whole => send_far(&far, 0..size, asked).await,
            Wanted::Part(part) => {
                if part.end == size {
                    // The end of a blob is never given away before the whole was seen to be right.
                    far.verify(asked.clone()).await.map_err(|error| unreadable(&far, &error))?;
                }
                let sent = send_far(&far, part.clone(), asked).await?;
                Ok(as_part(sent, &part, size))
            }
            Wanted::Nothing => Err(no_such_range(size)),
        }
    }
}

async fn send_far(far: &Far, part: Range<u64>, asked: Asked) -> Outcome {
    let length = part.end - part.start;
    let body = if length == 0 {
        Body::empty()
    } else {
        Body::stream(far.stream(part, asked).await.map_err(|error| unreadable(far, &error))?, length)
    };
    let mut answer = Answer::new(body);
    describe_blob(&mut answer, &far.digest, length);
    Ok(answer)
}

fn unreadable(far: &Far, error: &Error) -> Failure {
    tracing::error!(place = far.from.name(), blob = %far.digest, %error, "the blob cannot be read");
    let message = "the blob cannot be read where it is kept; the registry's log says why";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Other("UNKNOWN".to_owned()), message)
}
