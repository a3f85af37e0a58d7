//! The page at `/`: what there is to pull, for people. Made here whole: no script, no image, nothing from elsewhere.

mod gather;
mod html;

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST},
};

use super::{
    Changes, Registry,
    answer::{self, Outcome},
};

/// Only the page's own style may be used, whatever a name on it says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Registry {
    /// `GET` of `/`.
    pub(super) async fn page(self: &Arc<Self>, headers: &HeaderMap) -> Outcome {
        let registry = Arc::clone(self);
        // It reads configs from the disk and may look at thousands of blobs.
        let gathered = tokio::task::spawn_blocking(move || gather::gather(&registry)).await;
        let gathered = gathered.map_err(|error| super::answer::Failure::internal(&error))??;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        let host = if host.bytes().all(plain) { host } else { "localhost" };
        let view = html::View {
            host,
            secure: self.tls.is_some(),
            writable: self.store.is_some() && self.changes != Changes::None,
            gathered: &gathered,
        };
        let mut answer = answer::bytes(StatusCode::OK, "text/html; charset=utf-8", html::page(&view).into());
        for (name, value) in [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }
}
