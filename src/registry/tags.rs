//! Lists of tags (distribution-spec 1.1, "Listing Tags").

use reqwest::Method;
use serde::Deserialize;

use crate::oci::Tag;

use super::{error::Error, repository::RemoteRepository};

/// Tags asked for in one page.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct TagList {
    // distribution writes null where there is none.
    #[serde(default)]
    tags: Option<Vec<Option<String>>>,
}

impl RemoteRepository {
    pub(super) async fn list_tags(&self) -> Result<Vec<Tag>, Error> {
        let at = self.at("tags");
        let mut call = self.call(Method::GET, "tags/list", &at).await?;
        call.url.query_pairs_mut().append_pair("n", PAGE);
        let mut tags = Vec::new();
        self.pages(call, |page| {
            let page = page.expect_no_page()?;
            let list: TagList = serde_json::from_slice(&page.body).map_err(|error| Error::Protocol {
                at: at.clone(),
                reason: format!("a list of tags that cannot be read: {error}"),
            })?;
            for text in list.tags.unwrap_or_default().into_iter().flatten() {
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
