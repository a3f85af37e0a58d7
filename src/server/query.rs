//! What stands behind the question mark.

use std::borrow::Cow;

use http::{StatusCode, Uri};

use super::answer::Refusal;
use crate::oci::error_code::ErrorCode;

/// The parameters of a request, decoded.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn of(uri: &'a Uri) -> Self {
        Self(url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect())
    }

    /// The first parameter of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// Every parameter of that name.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// `n`, how many names are wanted: `None` where that is not said, and never more than `cap`.
    pub(super) fn count(&self, cap: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get("n") else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = "n is how many names are wanted: a number, not negative";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message));
        }
        // Whatever does not fit is more than the cap.
        Ok(Some(text.parse().unwrap_or(usize::MAX).min(cap)))
    }
}
