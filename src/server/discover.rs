//! Finding out what there is (distribution-spec, "Content Discovery"): tags, referrers, and Docker's `_catalog`.

use http::{HeaderName, Method, StatusCode, header::LINK};
use serde_json::json;
use url::form_urlencoded;

use super::{
    answer::{self, Handled, Refusal, Reply},
    auth::Caller,
    backend::{Backend, Requested},
    frontend::Frontend,
    policy::Action,
    pull::without_body_for,
    query::Query,
};
use crate::oci::{Digest, media_type};

/// Names in one answer, however many were asked for.
const MAX_NAMES: usize = 10_000;

/// Bytes of descriptors in one list of referrers: with its frame it stays a manifest that any client reads.
const MAX_REFERRERS: usize = 3 << 20;

/// Which filters the answer went through.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Frontend {
    /// `GET` of `tags/list`.
    pub(super) async fn tags(&self, method: &Method, at: Requested<'_>, query: &Query<'_>) -> Handled {
        let page = NamesPage::asked(query)?;
        let (after, limit) = (page.after.clone(), page.count + 1);
        let found = self
            .ask(at, move |backends, at| {
                if !backends.knows(at)? {
                    return Err(Refusal::name_unknown(at.repository));
                }
                backends.tags(at, &after, limit)
            })
            .await?;
        let repository = at.repository;
        let frame = |tags: &[String]| json!({ "name": repository, "tags": tags });
        Ok(page.answer(method, query, &format!("/v2/{repository}/tags/list"), found, frame))
    }

    /// `GET` of `_catalog`: the repositories that the caller may pull from.
    pub(super) async fn catalog(&self, method: &Method, query: &Query<'_>, caller: &Caller) -> Handled {
        let page = NamesPage::asked(query)?;
        let (mut found, mut after) = (Vec::new(), page.after.clone());
        while found.len() <= page.count {
            let from = after.clone();
            let next = self.ask(Requested::plain(""), move |backends, _| backends.repositories(&from, MAX_NAMES));
            let next = next.await?;
            let ends = next.len() < MAX_NAMES;
            if let Some(last) = next.last() {
                after.clone_from(last);
            }
            found.extend(next.into_iter().filter(|name| self.shows(caller, name)));
            if ends {
                break;
            }
        }
        Ok(page.answer(method, query, "/v2/_catalog", found, |names| json!({ "repositories": names })))
    }

    /// Whether the caller may pull from the repository, and so may know of it.
    pub(super) fn shows(&self, caller: &Caller, repository: &str) -> bool {
        self.door.as_ref().is_none_or(|door| door.allows(caller.user.as_deref(), Action::Pull, repository))
    }

    /// `GET` of `referrers/DIGEST`: never 404, for then clients would look for the tag of old.
    pub(super) async fn referrers(
        &self,
        method: &Method,
        at: Requested<'_>,
        subject: Digest,
        query: &Query<'_>,
    ) -> Handled {
        let wanted = query.get("artifactType").filter(|wanted| !wanted.is_empty());
        let after = query.get("last").and_then(|last| last.parse::<Digest>().ok());
        let mut found = self.ask(at, move |backends, at| backends.referrers(at, &subject)).await?;
        found.retain(|descriptor| {
            wanted.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted))
                && after.is_none_or(|after| descriptor.digest > after)
        });
        let mut bytes = 0;
        let fitting = found.iter().take_while(|descriptor| {
            bytes += serde_json::to_string(descriptor).map_or(0, |text| text.len());
            bytes <= MAX_REFERRERS
        });
        // One that is too large by itself still goes, or the client would ask for ever.
        let shown = fitting.count().max(1).min(found.len());
        let rest = found.split_off(shown);
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": found });
        let mut answer = answer::json(StatusCode::OK, media_type::OCI_INDEX, &index);
        if let Some(last) = found.last().filter(|_| !rest.is_empty()) {
            let mut next = form_urlencoded::Serializer::new(String::new());
            next.append_pair("last", &last.digest.to_string());
            if let Some(wanted) = wanted {
                next.append_pair("artifactType", wanted);
            }
            keep_namespace(&mut next, query);
            link(&mut answer, &format!("/v2/{}/referrers/{subject}", at.repository), &next.finish());
        }
        if wanted.is_some() {
            answer::set(&mut answer, FILTERS_APPLIED, "artifactType");
        }
        Ok(without_body_for(method, answer))
    }
}

/// Which names of a list are asked for.
struct NamesPage {
    after: String,
    count: usize,
}

impl NamesPage {
    fn asked(query: &Query<'_>) -> Result<Self, Refusal> {
        let count = query.count(MAX_NAMES)?.unwrap_or(MAX_NAMES);
        Ok(Self { after: query.get("last").unwrap_or_default().to_owned(), count })
    }

    /// The names, and the way to the next ones if there are more than were asked for.
    fn answer(
        &self,
        method: &Method,
        query: &Query<'_>,
        path: &str,
        mut found: Vec<String>,
        frame: impl FnOnce(&[String]) -> serde_json::Value,
    ) -> Reply {
        let more = found.len() > self.count;
        found.truncate(self.count);
        let mut answer = answer::json(StatusCode::OK, "application/json", &frame(&found));
        if let Some(last) = found.last().filter(|_| more) {
            let mut next = form_urlencoded::Serializer::new(String::new());
            next.append_pair("n", &self.count.to_string()).append_pair("last", last);
            keep_namespace(&mut next, query);
            link(&mut answer, path, &next.finish());
        }
        without_body_for(method, answer)
    }
}

fn link(answer: &mut Reply, path: &str, query: &str) {
    answer::set(answer, LINK, &format!("<{path}?{query}>; rel=\"next\""));
}

fn keep_namespace(next: &mut form_urlencoded::Serializer<'_, String>, query: &Query<'_>) {
    if let Some(namespace) = query.get("ns") {
        next.append_pair("ns", namespace);
    }
}
