//! Documents of servers that are no registries: the index of a chart repository, and charts. They are fetched as a registry's answers
//! are: the same connections, credentials, patience and policy of addresses.

use bytes::Bytes;
use reqwest::{Method, StatusCode, header::HeaderMap};
use url::Url;

use super::{
    answer::WholeAnswer,
    auth::{Grant, scope::Scopes},
    client::Client,
    error::{At, Error},
    redact::Redacted,
    transport::{Call, Payload, authority, origin},
};
use crate::content;

impl Client {
    /// The document at `url`, of `limit` bytes at the most. `home` is an address of the server that the person named: its host may be
    /// an inner one, and it alone gets credentials.
    pub(crate) async fn document(&self, url: &Url, home: &Url, limit: u64) -> content::Result<Bytes> {
        let transport = self.transport();
        if let Some(host) = home.host_str() {
            transport.named.add(host);
        }
        let at = At { registry: authority(home), repository: None, what: Redacted::new(url).to_string(), via: None };
        transport.check(url, home, &at)?;
        let grant =
            Grant { registry: authority(home), origin: origin(home), scopes: Scopes::default(), is_guest: false };
        let call = Call {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: (origin(url) == origin(home)).then_some(grant),
            at: at.clone(),
            patience: transport.settings.retry.answer,
        };
        let mut waits = transport.waits();
        loop {
            match self.whole(call.clone(), limit).await {
                Ok(answer) => return Ok(answer.body.into()),
                Err(error) => waits.after(error, &at, &transport.settings.progress).await?,
            }
        }
    }

    async fn whole(&self, call: Call, limit: u64) -> Result<WholeAnswer, Error> {
        let answer = self.transport().send(call).await?.expect(&[StatusCode::OK]).await?;
        answer.document(limit).await?.expect_no_page()
    }
}
