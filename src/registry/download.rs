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
    answer::Answer,
    error::{At, Error},
    repository::Repository,
    retry::Waits,
    transport::{Call, value},
};

/// Where a blob comes from.
pub(super) enum Origin {
    /// The registry.
    Registry,
    /// An address out of a foreign layer's `urls`.
    Stranger(Url),
}

/// A blob under way.
pub(super) struct Download {
    repository: Repository,
    origin: Origin,
    blob: Descriptor,
    at: At,
    /// The next byte to give.
    offset: u64,
    /// Bytes that the answer repeats and that are dropped: its server ignores ranges.
    skip: u64,
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
        repository: &Repository,
        origin: Origin,
        blob: &Descriptor,
        from: u64,
    ) -> Result<Self, Error> {
        let at = match &origin {
            Origin::Registry => repository.blob_at(blob),
            Origin::Stranger(url) => repository.stranger_at(blob, url),
        };
        let mut download = Self {
            repository: repository.clone(),
            origin,
            blob: blob.clone(),
            at,
            offset: from,
            skip: 0,
            etag: None,
            answer: None,
            waits: repository.transport.settings.retry.waits(),
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
            self.waits = self.repository.transport.settings.retry.waits();
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
                Err(error) => self.wait(error).await?,
            }
        }
    }

    async fn ask(&mut self) -> Result<Answer, Error> {
        let mut call = self.call().await?;
        // Any coding would be one more layer between us and the bytes that the digest is of.
        call.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.offset > 0 {
            call.headers.insert(RANGE, value(&format!("bytes={}-", self.offset)));
            if let Some(etag) = &self.etag {
                call.headers.insert(IF_RANGE, value(etag));
            }
        }
        let answer = self.repository.transport.send(call).await?;
        let answer = answer.expect(&[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        self.skip = 0;
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = answer.header(CONTENT_RANGE).unwrap_or_default();
            if !continues(range, self.offset, self.blob.size) {
                let reason = format!("asked for bytes from {} of {}, got {range:?}", self.offset, self.blob.size);
                return Err(Error::Protocol { at: self.at.clone(), reason });
            }
        } else {
            self.skip = self.offset;
        }
        if self.etag.is_none() {
            // A weak tag does not promise the same bytes.
            self.etag = answer.header(ETAG).filter(|etag| etag.starts_with('"')).map(str::to_owned);
        }
        Ok(answer)
    }

    async fn call(&self) -> Result<Call, Error> {
        match &self.origin {
            Origin::Registry => {
                self.repository.call(Method::GET, &format!("blobs/{}", self.blob.digest), &self.at).await
            }
            Origin::Stranger(url) => self.repository.stranger_call(Method::GET, url.clone(), &self.at),
        }
    }
}

/// The next chunk, or an error where over a whole window of waiting too little came. Time that the reader takes for
/// itself does not count.
async fn watch(
    answer: &mut Answer,
    repository: &Repository,
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

/// Whether `Content-Range: bytes FIRST-LAST/TOTAL` is the rest of a blob of `size` bytes from `offset` on.
fn continues(range: &str, offset: u64, size: u64) -> bool {
    let parts = || {
        let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, total))
    };
    parts().is_some_and(|(first, last, total)| {
        let total_fits = total == "*" || total.parse() == Ok(size);
        first == offset && last >= first && last < size && total_fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_range_that_goes_on_where_we_stopped_is_taken() {
        for good in ["bytes 10-99/100", "bytes 10-50/100", "bytes 10-99/*"] {
            assert!(continues(good, 10, 100), "{good}");
        }
        for bad in
            ["", "bytes 0-99/100", "bytes 11-99/100", "bytes 10-100/101", "bytes 10-9/100", "10-99/100", "bytes */100"]
        {
            assert!(!continues(bad, 10, 100), "{bad}");
        }
    }
}
