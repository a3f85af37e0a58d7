//! What a registry answered: capped bodies, and statuses turned into errors.

use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, HeaderName},
};
use url::Url;

use super::{
    error::{At, Detail, Error},
    retry,
};

/// Largest error answer that is read, in bytes.
const MAX_ERROR: u64 = 64 << 10;

/// The digest that a registry says content has.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer whose body was not read yet.
pub(super) struct Answer {
    response: Response,
    /// What was asked in the end, after redirects.
    pub(super) url: Url,
    pub(super) at: At,
}

impl Answer {
    pub(super) const fn new(response: Response, url: Url, at: At) -> Self {
        Self { response, url, at }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header as text; `None` if absent or no text.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Gives itself back if the status is one of `good`, else the error that the status stands for.
    pub(super) async fn expect(self, good: &[StatusCode]) -> Result<Self, Error> {
        if good.contains(&self.status()) { Ok(self) } else { Err(self.failure().await) }
    }

    /// The error that this answer stands for.
    pub(super) async fn failure(self) -> Error {
        let status = self.status();
        let after = retry::retry_after(self.headers());
        let at = self.at.clone();
        // The words of a failure are a courtesy: an answer whose body fails is judged by its status alone.
        let detail = self.read(MAX_ERROR).await.map(|body| Detail::parse(&body)).unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED => {
                Error::Unauthorized { at, reason: "the registry takes no credentials of ours".to_owned(), detail }
            }
            StatusCode::FORBIDDEN => Error::Denied { at, detail },
            StatusCode::NOT_FOUND => Error::NotFound { at },
            StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { at, after, detail },
            // Not implemented, and version not supported: no later try changes that.
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
                Error::Refused { at, status: status.as_u16(), detail }
            }
            StatusCode::REQUEST_TIMEOUT => Error::Server { at, status: status.as_u16(), after, detail },
            status if status.is_server_error() => Error::Server { at, status: status.as_u16(), after, detail },
            status if status.is_client_error() => Error::Refused { at, status: status.as_u16(), detail },
            status => {
                Error::Protocol { at, reason: format!("an answer with the unexpected status {}", status.as_u16()) }
            }
        }
    }

    /// The whole body, of `limit` bytes at most.
    pub(super) async fn read(mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = |at: &At| Error::TooLarge { at: at.clone(), limit };
        if self.response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large(&self.at));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_large(&self.at));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Bytes that the body says it has.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        self.response.chunk().await.map_err(|error| Error::Broken {
            at: self.at.clone(),
            bytes: 0,
            source: Some(error.without_url()),
        })
    }
}
