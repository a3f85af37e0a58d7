//! What the errors of `object_store` mean.

use std::error::Error as _;

use object_store::client::{HttpError, HttpErrorKind};

use super::super::error::{Error, cause, redact};

/// What was asked for when it failed.
pub(super) struct CloudRequest {
    pub(super) what: String,
}

impl CloudRequest {
    pub(super) fn failed(&self, error: &object_store::Error) -> Error {
        use object_store::Error as E;
        let what = self.what.clone();
        match error {
            E::NotFound { .. } => Error::NotFound { what },
            E::AlreadyExists { .. } => Error::Exists { what },
            E::Precondition { .. } | E::NotModified { .. } => Error::Changed { what },
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Error::Refused { what, reason: reason(error) },
            error => self.generic(error),
        }
    }

    /// A client that could not be made of what it was given.
    pub(super) fn credential(&self, error: &object_store::Error) -> Error {
        Error::Credential { what: self.what.clone(), reason: reason(error) }
    }

    /// The crate keeps the status of most failures in its text only.
    fn generic(&self, error: &object_store::Error) -> Error {
        let what = self.what.clone();
        let source = cause(error);
        let text = source.to_string();
        match kind(error) {
            Some(HttpErrorKind::Connect) => return Error::Unreachable { what, source },
            Some(
                HttpErrorKind::Request | HttpErrorKind::Timeout | HttpErrorKind::Interrupted | HttpErrorKind::Decode,
            ) => {
                return Error::Stalled { what, source };
            }
            _ => {}
        }
        match status(&text) {
            Some(401 | 403) => Error::Refused { what, reason: reason(error) },
            Some(404) => Error::NotFound { what },
            Some(409 | 412) => Error::Exists { what },
            Some(status @ (408 | 429 | 500..)) => Error::Server { what, status, reason: reason(error) },
            _ if text.contains("error decoding response body") => Error::Stalled { what, source },
            _ if text.contains("redential") => Error::Credential { what, reason: reason(error) },
            _ => Error::Protocol { what, reason: reason(error) },
        }
    }
}

fn kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut next = error.source();
    while let Some(below) = next {
        if let Some(http) = below.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        next = below.source();
    }
    None
}

fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// One line: answers are XML documents of many.
fn reason(error: &object_store::Error) -> String {
    let text = redact(&cause(error).to_string());
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => text.lines().next().unwrap_or_default().to_owned(),
    }
}

/// The content of the first element of that name in one of S3's small documents.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    after.split_once("</").map(|(inner, _)| inner.to_owned())
}
