//! Lists of tags (distribution-spec 1.1, "Listing Tags").

use std::collections::HashSet;

use reqwest::Method;
use serde::Deserialize;

use crate::oci::{Name, Tag};

use super::{answer::WholeAnswer, error::Error, learnt::RepositoryFacts, repository::RemoteRepository};

/// Tags asked for in one page.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct TagList {
    // distribution writes null where there is none.
    #[serde(default)]
    tags: Option<Vec<Option<String>>>,
}

impl TagList {
    fn parse(page: WholeAnswer) -> Result<Self, Error> {
        let page = page.expect_no_page()?;
        serde_json::from_slice(&page.body).map_err(|error| Error::Protocol {
            at: page.at,
            reason: format!("a list of tags that cannot be read: {error}"),
        })
    }

    fn texts(self) -> impl Iterator<Item = String> {
        self.tags.unwrap_or_default().into_iter().flatten()
    }
}

impl RemoteRepository {
    /// Whether `tag`, by which something may be attached, is in the repository's list of tags; `None` where no list is believed.
    ///
    /// Registries that cache others may list what they have cached, and not what they can give: what is attached would be lost in
    /// silence. "distribution" lists what is behind it, too. Its list is believed where it is whole and has the tag that was
    /// fetched; any other registry is asked for each tag.
    pub(super) async fn lists(&self, tag: &Tag) -> Option<bool> {
        if !self.is_origin() || !tag.is_of_attached() {
            return None;
        }
        let registry = self.transport.learnt.of_registry(self.registry());
        registry.is_distribution.get().filter(|is_distribution| **is_distribution)?;
        let facts = self.facts();
        // What cannot be listed can still be asked for.
        let known = facts.attaching_tags.get_or_init(async || self.attaching_tags(&facts).await.ok().flatten()).await;
        known.as_ref().map(|known| known.contains(tag))
    }

    async fn attaching_tags(&self, facts: &RepositoryFacts) -> Result<Option<HashSet<Tag>>, Error> {
        let at = self.at("tags");
        let mut call = self.call(Method::GET, "tags/list", &at).await?;
        call.url.query_pairs_mut().append_pair("n", PAGE);
        let (page, next) = self.page(call).await?;
        let fetched = match facts.present.get() {
            Some(Name::Tag(tag)) => Some(tag),
            _ => None,
        };
        let (mut has_fetched, mut attaching) = (fetched.is_none(), HashSet::new());
        for text in TagList::parse(page)?.texts() {
            has_fetched |= fetched.is_some_and(|tag| text == tag.as_str());
            attaching.extend(text.parse().ok().filter(Tag::is_of_attached));
        }
        Ok(Some(attaching).filter(|_| has_fetched && next.is_none()))
    }

    pub(super) async fn list_tags(&self) -> Result<Vec<Tag>, Error> {
        let at = self.at("tags");
        let mut call = self.call(Method::GET, "tags/list", &at).await?;
        call.url.query_pairs_mut().append_pair("n", PAGE);
        let mut tags = Vec::new();
        self.pages(call, |page| {
            for text in TagList::parse(page)?.texts() {
                match text.parse() {
                    Ok(tag) => tags.push(tag),
                    // It could not be asked for by that name.
                    Err(error) => tracing::warn!(%at, %error, "a listed tag is passed over"),
                }
            }
            Ok(())
        })
        .await?;
        // The specification wants them sorted, and not every registry does it.
        tags.sort();
        Ok(tags)
    }
}
