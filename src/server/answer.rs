//! Answers: what handlers give, and how it becomes HTTP.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use super::body::ReplyBody;
use crate::{
    content::Fault,
    oci::{
        Digest,
        error_code::{Envelope, ErrorCode, ErrorItem},
    },
    store::StoreError,
};

/// The digest of what was sent or received (distribution-spec, "Pulling manifests").
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a browser may do with an answer that is not the page: nothing (Content Security Policy, level 3).
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// A good answer.
pub(super) type Reply = Response<ReplyBody>;

/// What a handler gives.
pub(super) type Handled = Result<Reply, Refusal>;

/// A refusal, to be sent as the JSON envelope of the specification.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) errors: Vec<ErrorItem>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let error = ErrorItem { code, message: message.into(), detail: serde_json::Value::Null };
        Self { status, errors: vec![error], headers: Vec::new() }
    }

    #[must_use]
    pub(super) fn with_detail(mut self, detail: serde_json::Value) -> Self {
        if let Some(error) = self.errors.last_mut() {
            error.detail = detail;
        }
        self
    }

    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn blob_unknown(digest: &Digest) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, "the repository has no such blob")
            .with_detail(serde_json::json!({ "digest": digest }))
    }

    pub(super) fn manifest_unknown(name: &impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, "the repository has no such manifest")
            .with_detail(serde_json::json!({ "name": name.to_string() }))
    }

    pub(super) fn name_unknown(repository: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, "there is no such repository")
            .with_detail(serde_json::json!({ "name": repository }))
    }

    /// The verb is none of this resource's, or is switched off here.
    pub(super) fn not_allowed(message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
    }

    /// A defect or a broken disk: the log says which, the client learns nothing of this machine.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %ErrorChain(error), "a request failed");
        let code = ErrorCode::Other("UNKNOWN".to_owned());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, "the registry failed; its log says why")
    }

    pub(super) fn into_answer(self) -> Reply {
        let envelope = Envelope { errors: self.errors };
        let mut answer = json(self.status, "application/json", &envelope);
        for (name, value) in self.headers {
            answer.headers_mut().append(name, value);
        }
        answer
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Mismatch { expected, actual } => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::DigestInvalid,
                "what was sent has another digest; the upload is over",
            )
            .with_detail(serde_json::json!({ "expected": expected, "actual": actual })),
            StoreError::Superseded => Self::new(
                StatusCode::NOT_FOUND,
                ErrorCode::BlobUploadUnknown,
                "the upload is over, or another request continues it",
            ),
            error if error.code() == crate::content::Code::OutputSpace => {
                tracing::error!("the store's disk is full");
                let code = ErrorCode::Other("UNKNOWN".to_owned());
                Self::new(StatusCode::INSUFFICIENT_STORAGE, code, "the registry's disk is full")
            }
            error => Self::internal(error),
        }
    }
}

/// An error with its causes, for the log.
pub(super) struct ErrorChain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut answer = Response::new(ReplyBody::empty());
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    answer
}

/// An answer of bytes in memory.
pub(super) fn bytes(status: StatusCode, content_type: &str, content: Bytes) -> Reply {
    let length = content.len();
    let mut answer = Response::new(ReplyBody::bytes(content));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, content_type: &str, content: &impl Serialize) -> Reply {
    match serde_json::to_vec(content) {
        Ok(text) => bytes(status, content_type, text.into()),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Makes an answer harmless in a browser: no content is guessed to be a web page, and none runs. The page for people
/// brings a policy of its own.
pub(super) fn disarm(answer: &mut Reply) {
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
}

/// Whether no browser shows content of this type as a document: `application/…`, but nothing that is XML, a script or PDF.
pub(super) fn is_inert(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    let Some(name) = media_type.strip_prefix("application/") else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    let active = ["xml", "html", "script", "pdf"];
    (1..=127).contains(&name.len()) && name.bytes().all(plain) && !active.iter().any(|kind| name.ends_with(kind))
}

/// Sets a header whose value may hold what a client sent; what no header can hold is left out.
pub(super) fn set(answer: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// [`set`] for a digest.
pub(super) fn set_digest(answer: &mut Reply, digest: &Digest) {
    set(answer, CONTENT_DIGEST, &digest.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_no_browser_shows_are_inert() {
        let vendor = ["application/vnd.oci.image.manifest.v1+json", "application/json", "Application/x"];
        assert!(vendor.into_iter().all(is_inert));
        for active in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "application/XML",
            "application/javascript",
            "application/pdf",
            "application/",
            "application/x y",
            "application/json, text/html",
            "",
        ] {
            assert!(!is_inert(active), "{active}");
        }
    }
}
