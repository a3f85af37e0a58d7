//! What a registry answered: capped bodies, and statuses turned into errors.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    detail::Detail,
    error::{At, Error},
    redact::Secrets,
    retry,
};

/// So much of an error answer is read, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// The digest that a registry says content has.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The header by which registries answer since their first protocol.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A small answer, read whole.
pub(super) struct WholeAnswer {
    pub(super) at: At,
    /// `Content-Type` without its parameters, in lower case; empty if absent.
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
    secrets: Arc<Secrets>,
}

impl WholeAnswer {
    /// Gives itself back unless it is a page for people, as captive portals and proxies send it with status 200.
    pub(super) fn expect_no_page(self) -> Result<Self, Error> {
        if self.is_page() {
            return Err(Error::WebPage { detail: Detail::parse(&self.body, &self.secrets), at: self.at });
        }
        Ok(self)
    }

    pub(super) fn is_page(&self) -> bool {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body).trim_ascii_start();
        let begins =
            |with: &str| body.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with.as_bytes()));
        (is_page_type(&self.content_type) && !body.starts_with(b"{"))
            || ["<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta"].into_iter().any(begins)
    }
}

/// An answer whose body was not read yet.
pub(super) struct Answer {
    response: Response,
    /// What was asked in the end, after redirects.
    pub(super) url: Url,
    pub(super) at: At,
    /// What must not be repeated of it.
    secrets: Arc<Secrets>,
    /// How long reading a document may take.
    patience: Duration,
}

impl Answer {
    pub(super) const fn new(response: Response, url: Url, at: At, secrets: Arc<Secrets>, patience: Duration) -> Self {
        Self { response, url, at, secrets, patience }
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

    /// Every line of a header.
    pub(super) fn lines(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers().get_all(name).into_iter().map(HeaderValue::as_bytes)
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
        let secrets = Arc::clone(&self.secrets);
        let version = self.header(API_VERSION).map(str::to_owned);
        let detail = Detail::parse(&self.beginning(MAX_ERROR).await, &secrets).by_version(version.as_deref());
        match status {
            StatusCode::UNAUTHORIZED => {
                Error::Unauthorized { at, reason: "the registry takes no credentials of ours".to_owned(), detail }
            }
            StatusCode::FORBIDDEN => Error::Denied { at, detail },
            StatusCode::NOT_FOUND => Error::NotFound { at, detail },
            StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { at, after, detail },
            // Not implemented, and version not supported: no later try changes that.
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
                Error::Refused { at, status: status.as_u16(), detail }
            }
            StatusCode::REQUEST_TIMEOUT => Error::Server { at, status: status.as_u16(), after, detail },
            status if status.is_server_error() => Error::Server { at, status: status.as_u16(), after, detail },
            status if status.is_client_error() => Error::Refused { at, status: status.as_u16(), detail },
            status => {
                let reason = format!("an answer with the unexpected status {}{detail}", status.as_u16());
                Error::Protocol { at, reason }
            }
        }
    }

    /// The whole body, of `limit` bytes at most.
    async fn read(mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = |at: &At| Error::TooLarge { at: at.clone(), limit };
        if self.response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large(&self.at));
        }
        let mut body = Vec::new();
        let (end, patience) = (Instant::now() + self.patience, self.patience);
        let stalled = |at: &At, bytes| Error::Stalled { at: at.clone(), waited: patience, bytes };
        while let Some(chunk) =
            timeout_at(end, self.chunk()).await.map_err(|_| stalled(&self.at, body.len() as u64))??
        {
            if body.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_large(&self.at));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Itself with the whole body, of `limit` bytes at most.
    pub(super) async fn document(self, limit: u64) -> Result<WholeAnswer, Error> {
        let (at, content_type, secrets) = (self.at.clone(), self.content_type(), Arc::clone(&self.secrets));
        Ok(WholeAnswer { at, content_type, body: self.read(limit).await?, secrets })
    }

    /// The beginning of the body, or as much of it as can be had.
    async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut body = Vec::new();
        let end = Instant::now() + self.patience;
        while body.len() < limit
            && let Ok(Ok(Some(chunk))) = timeout_at(end, self.chunk()).await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(limit);
        body
    }

    /// The error where this answer is a page for people and not what was asked for.
    pub(super) async fn web_page(self) -> Error {
        let (at, secrets) = (self.at.clone(), Arc::clone(&self.secrets));
        Error::WebPage { at, detail: Detail::parse(&self.beginning(MAX_ERROR).await, &secrets) }
    }

    /// `Content-Type` without its parameters, in lower case; empty if absent.
    pub(super) fn content_type(&self) -> String {
        let text = self.header(CONTENT_TYPE).and_then(|text| text.split(';').next());
        text.unwrap_or_default().trim().to_ascii_lowercase()
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

/// Whether a media type is that of pages for people.
pub(super) fn is_page_type(content_type: &str) -> bool {
    matches!(content_type, "text/html" | "application/xhtml+xml")
}
