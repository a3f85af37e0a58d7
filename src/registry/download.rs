//! A blob as one unbroken stream, over as many connections as it takes.
//!
//! A connection that breaks or stands still is opened again at the byte where it stopped. Nothing is hashed here, so
//! nothing here may repeat, skip or mix bytes: `Content-Range` is checked, and `If-Range` holds the continuation to the
//! same representation (RFC 9110, 14).

use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::{StreamExt, stream};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE},
};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{content::ByteStream, oci::Descriptor};

use super::{
    answer::{Answer, is_page_type},
    content_range::ContentRange,
    error::{At, Error},
    repository::RemoteRepository,
    retry::Waits,
    transport::{Call, value},
};

/// So many failed requests for a range end the asking for ranges.
const MAX_FAILED_RANGES: u32 = 3;

/// Where a blob comes from.
pub(super) enum BlobOrigin {
    /// The registry.
    Registry,
    /// An address out of a foreign layer's `urls`.
    Stranger(Url),
}

/// A blob under way.
pub(super) struct Download {
    repository: RemoteRepository,
    origin: BlobOrigin,
    blob: Descriptor,
    at: At,
    /// The next byte to give.
    offset: u64,
    /// Bytes that the answer repeats and that are dropped: its server ignores ranges.
    skip: u64,
    /// Requests for a range that the server failed, one after the other; where it cannot do ranges, the whole is asked for.
    failed_ranges: u32,
    /// Whether the answer is a page for people by its type, which a blob can be too.
    is_page: bool,
    /// The strong entity tag of the first answer.
    etag: Option<String>,
    answer: Option<Answer>,
    waits: Waits,
    /// Where the tries were last renewed.
    renewed: u64,
    /// Time spent waiting, and what came of it, since the rate was last found good.
    waited: Duration,
    arrived: u64,
}

impl Download {
    /// Opens the blob at byte `from`.
    pub(super) async fn open(
        repository: &RemoteRepository,
        origin: BlobOrigin,
        blob: &Descriptor,
        from: u64,
    ) -> Result<Self, Error> {
        let at = match &origin {
            BlobOrigin::Registry => repository.blob_at(blob),
            BlobOrigin::Stranger(url) => repository.stranger_at(blob, url),
        };
        let mut download = Self {
            repository: repository.clone(),
            origin,
            blob: blob.clone(),
            at,
            offset: from,
            skip: 0,
            failed_ranges: 0,
            is_page: false,
            etag: None,
            answer: None,
            waits: repository.transport.waits(),
            renewed: from,
            waited: Duration::ZERO,
            arrived: 0,
        };
        download.reopen().await?;
        Ok(download)
    }

    /// The bytes, as the seam wants them.
    pub(super) fn into_stream(self) -> ByteStream {
        let steps = stream::unfold(Some(self), |state| async move {
            let mut download = state?;
            match download.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(download))),
                Ok(None) => None,
                Err(error) => Some((Err(error.into()), None)),
            }
        });
        // Who verifies asks once more after the end.
        steps.fuse().boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(answer) = self.answer.as_mut() else {
                self.reopen().await?;
                continue;
            };
            let step = watch(answer, &self.repository, &mut self.waited, &mut self.arrived).await;
            match step {
                Ok(Some(chunk)) => {
                    if let Some(chunk) = self.take(chunk) {
                        return Ok(Some(chunk));
                    }
                }
                Ok(None) if self.is_page && self.offset < self.blob.size => return Err(self.web_page().await),
                Ok(None) if self.is_complete() => return Ok(None),
                Ok(None) => self.wait(Error::Broken { at: self.at.clone(), bytes: self.offset, source: None }).await?,
                Err(error) => self.wait(self.placed(error)).await?,
            }
        }
    }

    /// Drops what is repeated, counts the rest.
    fn take(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        let dropped = self.skip.min(chunk.len() as u64);
        self.skip -= dropped;
        chunk.advance(usize::try_from(dropped).unwrap_or(usize::MAX));
        self.offset += chunk.len() as u64;
        if self.offset - self.renewed >= self.repository.transport.settings.retry.renewed_by {
            self.waits = self.repository.transport.waits();
            self.renewed = self.offset;
        }
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Whether the end of the answer is the end of the blob. An answer that announced its own length and kept it has
    /// said all it knows: if that is too little, asking again gives the same, and the hash will tell.
    fn is_complete(&self) -> bool {
        self.offset >= self.blob.size || self.answer.as_ref().is_some_and(|answer| answer.length().is_some())
    }

    fn placed(&self, error: Error) -> Error {
        match error {
            Error::Broken { at, source, .. } => Error::Broken { at, source, bytes: self.offset },
            error => error,
        }
    }

    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        self.answer = None;
        self.waits.after(error, &self.at, &self.repository.transport.settings.progress).await
    }

    /// Asks for the rest, until there is an answer to read from.
    async fn reopen(&mut self) -> Result<(), Error> {
        loop {
            match self.ask().await {
                Ok(answer) => {
                    (self.waited, self.arrived) = (Duration::ZERO, 0);
                    self.answer = Some(answer);
                    return Ok(());
                }
                Err(error) if self.can_ask_for_whole(&error) => {
                    tracing::debug!(at = %self.at, %error, "the whole blob is asked for, the server does no ranges");
                    self.failed_ranges = MAX_FAILED_RANGES;
                }
                Err(error) => self.wait(error).await?,
            }
        }
    }

    fn asks_for_range(&self) -> bool {
        self.offset > 0 && self.failed_ranges < MAX_FAILED_RANGES
    }

    /// Whether `error` may be due to the range that was asked for. A server that is failing may do so for other reasons, so
    /// that it gets further tries first.
    fn can_ask_for_whole(&mut self, error: &Error) -> bool {
        if !self.asks_for_range() {
            return false;
        }
        match error {
            Error::Refused { .. } | Error::Denied { .. } | Error::Protocol { .. } => true,
            Error::Server { .. } => {
                self.failed_ranges += 1;
                !self.asks_for_range()
            }
            _ => false,
        }
    }

    async fn web_page(&mut self) -> Error {
        match self.answer.take() {
            Some(answer) => answer.web_page().await,
            None => Error::Broken { at: self.at.clone(), bytes: self.offset, source: None },
        }
    }

    async fn ask(&mut self) -> Result<Answer, Error> {
        let mut call = self.call().await?;
        // Any coding would be one more layer between us and the bytes that the digest is of.
        call.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.asks_for_range() {
            call.headers.insert(RANGE, value(&format!("bytes={}-", self.offset)));
            if let Some(etag) = &self.etag {
                call.headers.insert(IF_RANGE, value(etag));
            }
        }
        let answer = self.repository.transport.send(call).await?;
        let answer = answer.expect(&[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        self.skip = 0;
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let text = answer.header(CONTENT_RANGE).unwrap_or_default();
            let is_rest = ContentRange::parse(text)
                .is_some_and(|range| self.asks_for_range() && range.resumes(self.offset, self.blob.size));
            if !is_rest {
                let reason = format!("asked for bytes from {} of {}, got {text:?}", self.offset, self.blob.size);
                return Err(Error::Protocol { at: self.at.clone(), reason });
            }
            self.failed_ranges = 0;
        } else {
            self.skip = self.offset;
        }
        self.is_page = answer.status() == StatusCode::OK && is_page_type(&answer.content_type());
        if self.is_page && answer.length().is_some_and(|length| length != self.blob.size) {
            return Err(answer.web_page().await);
        }
        if self.etag.is_none() {
            // A weak tag does not promise the same bytes.
            self.etag = answer.header(ETAG).filter(|etag| etag.starts_with('"')).map(str::to_owned);
        }
        Ok(answer)
    }

    async fn call(&self) -> Result<Call, Error> {
        match &self.origin {
            BlobOrigin::Registry => {
                self.repository.call(Method::GET, &format!("blobs/{}", self.blob.digest), &self.at).await
            }
            BlobOrigin::Stranger(url) => self.repository.stranger_call(Method::GET, url.clone(), &self.at),
        }
    }
}

/// The next chunk, or an error where over a whole window of waiting too little came. Time that the reader takes for
/// itself does not count.
async fn watch(
    answer: &mut Answer,
    repository: &RemoteRepository,
    waited: &mut Duration,
    arrived: &mut u64,
) -> Result<Option<Bytes>, Error> {
    let retry = &repository.transport.settings.retry;
    let begun = Instant::now();
    let stalled = |at: &At, bytes| Error::Stalled { at: at.clone(), waited: retry.stall_window, bytes };
    let Ok(step) = timeout(retry.stall_window.saturating_sub(*waited), answer.chunk()).await else {
        return Err(stalled(&answer.at, *arrived));
    };
    *waited += begun.elapsed();
    *arrived += step.as_ref().map_or(0, |chunk| chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
    if *arrived >= retry.stall_bytes {
        (*waited, *arrived) = (Duration::ZERO, 0);
    }
    step
}
