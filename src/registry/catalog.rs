//! The list of a registry's repositories. The distribution-spec does not have it; Docker's registry does, and most others
//! took it over (`GET /v2/_catalog`).

use reqwest::{Method, header::HeaderMap};
use serde::Deserialize;

use super::{
    auth::{Grant, scope::Scopes},
    client::Client,
    error::{At, Error},
    repository::RemoteRepository,
    transport::{Call, Payload, origin},
};
use crate::content;

/// Repositories asked for in one page.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct Catalog {
    // distribution writes null where there is none.
    #[serde(default)]
    repositories: Option<Vec<Option<String>>>,
}

impl Client {
    /// Every repository that `registry` shows to this client, sorted. Many public registries show none.
    pub async fn repositories(&self, registry: &str) -> content::Result<Vec<String>> {
        Ok(self.repository(registry, "").list_repositories().await?)
    }
}

impl RemoteRepository {
    async fn list_repositories(&self) -> Result<Vec<String>, Error> {
        let registry = self.registry().to_owned();
        let at = At { registry: registry.clone(), repository: None, what: "repositories".to_owned(), via: None };
        let base = self.transport.endpoint(&registry, &at).await?;
        let mut url = base.join("v2/_catalog").map_err(|_| Error::Name { at: at.clone() })?;
        url.query_pairs_mut().append_pair("n", PAGE);
        let scopes = Scopes::default().with("registry:catalog:*");
        let call = Call {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: Some(Grant { registry, origin: origin(&base), scopes, is_guest: false }),
            at: at.clone(),
            patience: self.transport.settings.retry.answer,
        };
        let mut repositories = Vec::new();
        self.pages(call, |page| {
            let page = page.expect_no_page()?;
            let catalog: Catalog = serde_json::from_slice(&page.body).map_err(|error| Error::Protocol {
                at: at.clone(),
                reason: format!("a list of repositories that cannot be read: {error}"),
            })?;
            repositories.extend(catalog.repositories.unwrap_or_default().into_iter().flatten());
            Ok(())
        })
        .await?;
        repositories.sort();
        repositories.dedup();
        Ok(repositories)
    }
}
