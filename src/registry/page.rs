//! Lists in pages, joined by `Link` (RFC 8288) as the distribution-spec uses it.

use std::collections::HashSet;

use reqwest::{StatusCode, header::LINK};
use url::Url;

use super::{
    answer::{Answer, WholeAnswer},
    error::Error,
    link::next_link,
    repository::RemoteRepository,
    transport::{Call, origin},
};

/// Largest page, in bytes: a thousand of the longest tags are an eighth of it.
const MAX_PAGE: u64 = 4 << 20;

impl RemoteRepository {
    /// Every page from `first` on, each given to `take`, until the last or the limit.
    pub(super) async fn pages(
        &self,
        first: Call,
        mut take: impl FnMut(WholeAnswer) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let settings = &self.transport.settings;
        let mut seen = HashSet::new();
        let mut call = first;
        loop {
            if !seen.insert(call.url.clone()) || seen.len() > settings.max_pages as usize {
                let reason = format!("a list that does not end within {} pages", settings.max_pages);
                return Err(Error::Protocol { at: call.at, reason });
            }
            let mut waits = self.transport.waits();
            let (page, next) = loop {
                match self.page(call.clone()).await {
                    Ok(read) => break read,
                    Err(error) => waits.after(error, &call.at, &settings.progress).await?,
                }
            };
            take(page)?;
            let Some(next) = next else { return Ok(()) };
            if origin(&next) != origin(&call.url) {
                // For good, as after a redirect.
                call.grant = None;
            }
            call.url = next;
        }
    }

    /// One page, and where the next one is.
    pub(super) async fn page(&self, call: Call) -> Result<(WholeAnswer, Option<Url>), Error> {
        let answer = self.transport.send(call).await?.expect(&[StatusCode::OK]).await?;
        let next = self.next_page(&answer)?;
        Ok((answer.document(MAX_PAGE).await?, next))
    }

    fn next_page(&self, answer: &Answer) -> Result<Option<Url>, Error> {
        let wrong = |reason: String| Error::Protocol { at: answer.at.clone(), reason };
        let Some(target) = next_link(answer.lines(LINK)).map_err(|error| wrong(error.to_string()))? else {
            return Ok(None);
        };
        let mut next = answer.url.join(&target).map_err(|error| wrong(format!("a Link that is no URL: {error}")))?;
        let is_less = next.scheme() == "http" || next.scheme() == answer.url.scheme();
        if next.host_str() == answer.url.host_str() && next.port().is_none() && is_less {
            // A registry behind a proxy that ends TLS or listens elsewhere; see `Transport::follow`.
            let mut same = answer.url.clone();
            same.set_path(next.path());
            same.set_query(next.query());
            next = same;
        }
        self.transport.check(&next, &answer.url, &answer.at)?;
        Ok(Some(next))
    }
}
