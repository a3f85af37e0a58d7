//! Blobs on their way into a registry (distribution-spec 1.1, "Pushing blobs").
//!
//! A blob goes in one `PUT` after a `POST`. What breaks is continued: the registry is asked how much it has, the content
//! is opened once more, hashed again from its first byte, and sent from where the registry stands, in chunks. A session
//! that cannot become the blob is cancelled, so that nothing half is left.

use std::mem;

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE},
};
use url::Url;

use crate::{
    content::{self, Verified},
    oci::{Descriptor, error_code::ErrorCode},
};

use super::{
    answer::Answer,
    auth::scope::Scopes,
    error::{At, Error},
    feed::UploadBody,
    refusal,
    repository::RemoteRepository,
    transport::{Call, Payload, value},
};

/// Bytes up to which a blob is read whole before it is sent: it can then be sent again without asking its source. Most
/// configs are smaller, and sixteen jobs of it do not count.
const SMALL: u64 = 256 << 10;

/// The smallest chunk that a registry takes, but for the last one.
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The limits of bodies that proxies commonly have, in bytes; nginx has the last one by default.
const COMMON_LIMITS: [u64; 2] = [8 << 20, 1 << 20];

/// Blobs are opaque.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl RemoteRepository {
    /// Takes a blob over from another repository of the same registry; `false` if the registry would rather be sent it.
    pub(super) async fn mount_blob(&self, blob: &Descriptor, from: &str) -> Result<bool, Error> {
        let at = self.at(format!("mount of blob {} from {from}", blob.digest));
        let mut call = self.call(Method::POST, "blobs/uploads/", &at).await?;
        call.url.query_pairs_mut().append_pair("mount", &blob.digest.to_string()).append_pair("from", from);
        if let Some(grant) = &mut call.grant {
            // Both repositories in one token: the other must be readable for us.
            grant.scopes = mem::take(&mut grant.scopes).with(&format!("repository:{from}:pull"));
        }
        match self.persist(&[StatusCode::CREATED, StatusCode::ACCEPTED], call).await {
            Ok(answer) if answer.status() == StatusCode::CREATED => Ok(true),
            // The registry began an ordinary upload instead; a push begins one of its own.
            Ok(answer) => {
                if let Ok(session) = self.session(&answer) {
                    self.cancel(session, &at).await;
                }
                Ok(false)
            }
            // A mount is a favour; what it needs of the other repository may be missing.
            Err(Error::Denied { .. } | Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn push_blob(&self, blob: &Descriptor, body: Verified) -> content::Result<()> {
        let at = self.blob_at(blob);
        if blob.size <= SMALL {
            let content = body.collect().await?;
            return Ok(self.push_small(blob, &at, content).await?);
        }
        let feed = UploadBody::new(body);
        let chunk = self.transport.settings.chunk;
        let upload = BlobUpload {
            repository: self,
            blob,
            at,
            feed,
            session: None,
            least: 1,
            chunk,
            chunked: false,
            was_continued: false,
        };
        upload.run().await
    }

    async fn push_small(&self, blob: &Descriptor, at: &At, content: bytes::Bytes) -> Result<(), Error> {
        let settings = &self.transport.settings;
        let mut waits = self.transport.waits();
        loop {
            let Err(error) = self.push_document(blob, at, content.clone()).await else { return Ok(()) };
            waits.after(refusal::of_blob(error, blob.size), at, &settings.progress).await?;
            if self.head_blob(blob).await? {
                return Ok(());
            }
        }
    }

    /// One try of [`Self::push_small`].
    async fn push_document(&self, blob: &Descriptor, at: &At, content: bytes::Bytes) -> Result<(), Error> {
        let session = self.begin(at).await?.0;
        let mut call = self.session_call(Method::PUT, with_digest(&session, blob), at).await?;
        call.headers.insert(CONTENT_TYPE, OCTETS);
        call.payload = Payload::Document(content);
        call.patience = self.transport.settings.retry.commit;
        let error = match self.transport.send(call).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.failure().await,
            Err(error) => error,
        };
        self.cancel(session, at).await;
        Err(error)
    }

    /// Begins an upload, in one try, for the caller has the patience; gives its session and the smallest chunk that the
    /// registry takes.
    async fn begin(&self, at: &At) -> Result<(Url, u64), Error> {
        let call = self.call(Method::POST, "blobs/uploads/", at).await?;
        let answer =
            self.transport.send(call).await?.expect(&[StatusCode::ACCEPTED]).await.map_err(refusal::of_push)?;
        let least = answer.header(CHUNK_MIN_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((self.session(&answer)?, least))
    }

    /// Where an upload goes on, as an answer says.
    fn session(&self, answer: &Answer) -> Result<Url, Error> {
        self.transport.follow(answer, "an upload")
    }

    async fn session_call(&self, method: Method, session: Url, at: &At) -> Result<Call, Error> {
        let mut call = self.call(method, "blobs/uploads/", at).await?;
        if let Some(grant) = &mut call.grant {
            // Asking how far an upload got is part of it, and so is giving it up.
            grant.scopes = Scopes::push(self.repository());
        }
        Ok(Call { url: session, ..call })
    }

    /// Gives a session up, as far as the registry lets us; it forgets sessions by itself in time.
    async fn cancel(&self, session: Url, at: &At) {
        let Ok(call) = self.session_call(Method::DELETE, session, at).await else { return };
        if let Err(error) = self.transport.send(call).await {
            tracing::debug!(%at, %error, "the upload could not be cancelled");
        }
    }
}

/// A blob under way in one piece or in chunks.
struct BlobUpload<'a> {
    repository: &'a RemoteRepository,
    blob: &'a Descriptor,
    at: At,
    feed: UploadBody,
    session: Option<Url>,
    /// The smallest chunk that the registry takes, in bytes.
    least: u64,
    /// The chunks that we send, where that allows it.
    chunk: u64,
    chunked: bool,
    was_continued: bool,
}

impl BlobUpload<'_> {
    async fn run(mut self) -> content::Result<()> {
        let settings = &self.repository.transport.settings;
        let mut waits = self.repository.transport.waits();
        let mut renewed = 0;
        let mut authorised_again = false;
        loop {
            let Err(error) = self.attempt().await else { return Ok(()) };
            if let Some(failure) = self.feed.failure() {
                self.give_up().await;
                return Err(failure);
            }
            if self.feed.taken() >= renewed + settings.retry.renewed_by {
                (waits, renewed) = (self.repository.transport.waits(), self.feed.taken());
            }
            let outcome = match error {
                // Something on the way does not take bodies of this size.
                error @ Error::Refused { status: 413, .. } if !self.chunked || self.shrink() => Ok(error),
                // The token ran out under way. The call has already had it forgotten.
                error @ Error::Unauthorized { .. } if !authorised_again => {
                    authorised_again = true;
                    Ok(error)
                }
                // Pieces that the registry put together wrongly; once more from the beginning, once.
                Error::Refused { ref detail, .. } if self.was_continued && detail.has(&ErrorCode::DigestInvalid) => {
                    self.was_continued = false;
                    self.session = None;
                    Ok(error)
                }
                error => {
                    let error = refusal::of_blob(error, self.chunk.min(self.blob.size));
                    waits.after_keeping(error, &self.at, &settings.progress).await
                }
            };
            let recovered = match outcome {
                Ok(cause) => self.recover(cause).await,
                Err(error) => Err(error.into()),
            };
            match recovered {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => {
                    self.give_up().await;
                    return Err(error);
                }
            }
        }
    }

    /// Makes the chunks smaller, if they are larger than proxies are known to take.
    fn shrink(&mut self) -> bool {
        let now = self.chunk.min(self.blob.size);
        let smaller = COMMON_LIMITS.into_iter().find(|limit| *limit < now && *limit >= self.least);
        self.chunk = smaller.unwrap_or(self.chunk);
        smaller.is_some()
    }

    async fn give_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.repository.cancel(session, &self.at).await;
        }
    }

    async fn attempt(&mut self) -> Result<(), Error> {
        if self.session.is_none() {
            let (session, least) = self.repository.begin(&self.at).await?;
            self.least = least.max(1);
            self.session = Some(session);
        }
        let Some(session) = self.session.clone() else { return Ok(()) };
        if !self.chunked {
            let call = self.call(Method::PUT, with_digest(&session, self.blob)).await?;
            let answer = self.feed.send(&self.repository.transport, call, self.blob.size).await?;
            return accept(answer).await.map(drop);
        }
        let mut session = session;
        while self.feed.taken() < self.blob.size {
            session = self.send_chunk(session).await?;
        }
        let mut call = self.call(Method::PUT, with_digest(&session, self.blob)).await?;
        call.patience = self.repository.transport.settings.retry.commit;
        accept(self.repository.transport.send(call).await?).await.map(drop)
    }

    /// Sends the next chunk; gives the session as it goes on.
    async fn send_chunk(&mut self, session: Url) -> Result<Url, Error> {
        let first = self.feed.taken();
        let length = self.chunk.max(self.least).min(self.blob.size - first);
        let mut call = self.call(Method::PATCH, session).await?;
        call.headers.insert(CONTENT_RANGE, value(&format!("{first}-{}", first + length - 1)));
        let answer = accept(self.feed.send(&self.repository.transport, call, length).await?).await?;
        let session = self.repository.session(&answer)?;
        self.session = Some(session.clone());
        match received(&answer) {
            Some(received) if received != first + length => {
                Err(Error::Broken { at: self.at.clone(), bytes: received, source: None })
            }
            _ => Ok(session),
        }
    }

    async fn call(&self, method: Method, session: Url) -> Result<Call, Error> {
        let mut call = self.repository.session_call(method, session, &self.at).await?;
        call.headers.insert(CONTENT_TYPE, OCTETS);
        Ok(call)
    }

    /// Finds out where the registry stands and brings the content there. `true`: the blob is there already. Where the
    /// content cannot be had again, `cause` was the end.
    async fn recover(&mut self, cause: Error) -> content::Result<bool> {
        self.chunked = true;
        let stands = match self.session.clone() {
            Some(session) => self.standing(session).await?,
            None => None,
        };
        if stands.is_none() {
            // The answer to the last call may be all that was lost.
            if self.repository.head_blob(self.blob).await? {
                return Ok(true);
            }
            self.give_up().await;
        }
        let stands = stands.unwrap_or(0);
        self.was_continued |= stands > 0;
        tracing::debug!(at = %self.at, stands, "the upload goes on");
        if self.feed.rewind(stands).await? { Ok(false) } else { Err(cause.into()) }
    }

    /// Bytes that the registry has of the session; `None` if they are of no use.
    async fn standing(&mut self, session: Url) -> Result<Option<u64>, Error> {
        let call = self.repository.session_call(Method::GET, session, &self.at).await?;
        let good = [StatusCode::NO_CONTENT, StatusCode::ACCEPTED, StatusCode::OK];
        match self.repository.persist(&good, call).await {
            Ok(answer) => {
                if answer.headers().contains_key(reqwest::header::LOCATION) {
                    self.session = Some(self.repository.session(&answer)?);
                }
                // distribution writes 0-0 for no byte and for one alike; one byte is not a loss.
                Ok(received(&answer).filter(|received| *received > 1 && *received <= self.blob.size))
            }
            Err(Error::NotFound { .. } | Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The answer to a part of an upload, if it is a good one.
async fn accept(answer: Answer) -> Result<Answer, Error> {
    let good = [StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT, StatusCode::OK];
    answer.expect(&good).await
}

/// Bytes received so far, of `Range: 0-LAST`.
fn received(answer: &Answer) -> Option<u64> {
    let range = answer.header(RANGE)?;
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

/// The session's URL with the digest that ends it; whatever state it carries stays as it is.
fn with_digest(session: &Url, blob: &Descriptor) -> Url {
    let mut url = session.clone();
    url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
    url
}
