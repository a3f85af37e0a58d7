//! Lists in pages, joined by `Link` (RFC 8288) as the distribution-spec uses it.

use std::collections::HashSet;

use reqwest::{StatusCode, header::LINK};
use url::Url;

use super::{
    answer::Answer,
    error::Error,
    repository::Repository,
    transport::{Call, origin},
};

/// Largest page, in bytes: a thousand of the longest tags are an eighth of it.
const MAX_PAGE: u64 = 4 << 20;

/// One page of a list.
pub(super) struct Page {
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Repository {
    /// Every page from `first` on, each given to `take`, until the last or the limit.
    pub(super) async fn pages(
        &self,
        first: Call,
        mut take: impl FnMut(Page) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let settings = &self.transport.settings;
        let mut seen = HashSet::new();
        let mut call = first;
        loop {
            if !seen.insert(call.url.clone()) || seen.len() > settings.max_pages as usize {
                let reason = format!("a list that does not end within {} pages", settings.max_pages);
                return Err(Error::Protocol { at: call.at, reason });
            }
            let mut waits = settings.retry.waits();
            let (page, next) = loop {
                match self.page(call.clone()).await {
                    Ok(read) => break read,
                    Err(error) => waits.after(error, &call.at, &settings.progress).await?,
                }
            };
            take(page)?;
            let Some(next) = next else { return Ok(()) };
            call.url = next;
        }
    }

    async fn page(&self, call: Call) -> Result<(Page, Option<Url>), Error> {
        let answer = self.transport.send(call).await?.expect(&[StatusCode::OK]).await?;
        let next = self.next_page(&answer)?;
        let content_type = answer.header(reqwest::header::CONTENT_TYPE).map(str::to_owned);
        Ok((Page { content_type, body: answer.read(MAX_PAGE).await? }, next))
    }

    fn next_page(&self, answer: &Answer) -> Result<Option<Url>, Error> {
        let Some(target) = answer.header(LINK).and_then(next_target) else { return Ok(None) };
        let wrong = |reason: String| Error::Protocol { at: answer.at.clone(), reason };
        let mut next = answer.url.join(target).map_err(|error| wrong(format!("a Link that is no URL: {error}")))?;
        if next.host_str() == answer.url.host_str() && next.scheme() == "http" && answer.url.scheme() == "https" {
            // A registry behind a proxy that ends TLS; see `Transport::follow`.
            let mut same = answer.url.clone();
            same.set_path(next.path());
            same.set_query(next.query());
            next = same;
        }
        self.transport.check(&next, &answer.url, &answer.at)?;
        if origin(&next) != origin(&answer.url) {
            return Err(wrong("a list that goes on at another host".to_owned()));
        }
        Ok(Some(next))
    }
}

/// The target of `<target>; rel="next"`, among other links perhaps.
fn next_target(link: &str) -> Option<&str> {
    link.split(',').find_map(|each| {
        let (target, parameters) = each.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter.eq_ignore_ascii_case("rel=next") || parameter.eq_ignore_ascii_case("rel=\"next\"")
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        assert_eq!(next_target("</v2/a/tags/list?last=b&n=2>; rel=\"next\""), Some("/v2/a/tags/list?last=b&n=2"));
        assert_eq!(next_target("<x>; rel=prev, <y>; title=t; rel=next"), Some("y"));
        for none in ["", "<x>", "<x>; rel=\"prev\"", "x; rel=next"] {
            assert_eq!(next_target(none), None, "{none}");
        }
    }
}
