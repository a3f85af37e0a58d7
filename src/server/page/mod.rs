//! The page at `/`: what there is to pull, for people. Made here whole: no script, no image, nothing from elsewhere.

mod gather;
mod html;

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
};

use super::{
    answer::{self, Handled, Reply},
    auth::Caller,
    config::Changes,
    frontend::Frontend,
};
use crate::{
    files::blocking::caught,
    oci::{Reference, reference::host_as_part},
    review,
};

/// Only the page's own style may be used, whatever a name on it says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Letters of a search that count. No name is longer.
const LONGEST_SEARCH: usize = 300;

impl Frontend {
    /// `GET` of `/?review`: the pages about the bundles, for a second pair of eyes.
    pub(super) async fn review(self: &Arc<Self>, caller: &Caller) -> Handled {
        let (registry, caller) = (Arc::clone(self), caller.clone());
        let made = caught(move || {
            let shows = |reference: &Reference| {
                let host = host_as_part(reference.registry());
                registry.shows(&caller, &format!("{host}/{}", reference.repository()))
            };
            let mut reviews = registry.bundles.reviews().map_err(|error| super::answer::Refusal::internal(&error))?;
            for review in &mut reviews {
                review.retain(shows);
            }
            Ok::<_, super::answer::Refusal>(review::page(&reviews))
        });
        Ok(answer_page(made.await.map_err(|error| super::answer::Refusal::internal(&error))??))
    }

    /// `GET` of `/`; `search` is what names are to contain.
    pub(super) async fn page(self: &Arc<Self>, headers: &HeaderMap, search: Option<&str>, caller: &Caller) -> Handled {
        let (registry, caller) = (Arc::clone(self), caller.clone());
        let search: String = search.unwrap_or_default().trim().chars().take(LONGEST_SEARCH).collect();
        let sought = search.to_lowercase();
        // It reads configs from the disk and may look at thousands of blobs.
        let gathered = caught(move || gather::gather(&registry, &sought, &caller)).await;
        let gathered = gathered.map_err(|error| super::answer::Refusal::internal(&error))??;
        let address = self.address(headers);
        let (scheme, host) = address.split_once("://").unwrap_or((self.scheme(), "localhost"));
        let view = html::PageView {
            host,
            secure: scheme == "https",
            writable: self.store.is_some() && self.changes != Changes::None,
            gathered: &gathered,
            search: &search,
            has_bundles: !self.bundles.is_empty(),
        };
        Ok(answer_page(html::page(&view)))
    }
}

/// A page for people.
fn answer_page(page: String) -> Reply {
    let mut answer = answer::bytes(StatusCode::OK, "text/html; charset=utf-8", page.into());
    for (name, value) in [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
