//! Finding out what there is (distribution-spec, "Content Discovery"): tags, referrers, and Docker's `_catalog`.

use http::{HeaderName, Method, StatusCode, header::LINK};
use serde_json::json;
use url::form_urlencoded;

use super::{
    Registry,
    answer::{self, Answer, Failure, Outcome},
    pull::without_body_for,
    query::Query,
    shelf::{At, Shelf},
};
use crate::oci::{Digest, media_type};

/// Names in one answer, however many were asked for.
const MAX_NAMES: usize = 10_000;

/// Bytes of descriptors in one list of referrers: with its frame it stays a manifest that any client reads.
const MAX_REFERRERS: usize = 3 << 20;

/// Which filters the answer went through.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Registry {
    /// `GET` of `tags/list`.
    pub(super) fn tags(&self, method: &Method, at: At<'_>, query: &Query<'_>) -> Outcome {
        let limit = query.count(MAX_NAMES)?;
        let repository = at.repository;
        if !self.shelves.knows(at)? {
            return Err(Failure::name_unknown(repository));
        }
        let path = format!("/v2/{repository}/tags/list");
        let ask = |after: &str, limit| self.shelves.tags(at, after, limit);
        names(method, query, limit, &path, ask, |tags| json!({ "name": repository, "tags": tags }))
    }

    /// `GET` of `_catalog`.
    pub(super) fn catalog(&self, method: &Method, query: &Query<'_>) -> Outcome {
        let limit = query.count(MAX_NAMES)?;
        let ask = |after: &str, limit| self.shelves.repositories(after, limit);
        names(method, query, limit, "/v2/_catalog", ask, |names| json!({ "repositories": names }))
    }

    /// `GET` of `referrers/DIGEST`: never 404, for then clients would look for the tag of old.
    pub(super) fn referrers(&self, method: &Method, at: At<'_>, subject: &Digest, query: &Query<'_>) -> Outcome {
        let wanted = query.get("artifactType").filter(|wanted| !wanted.is_empty());
        let after = query.get("last").and_then(|last| last.parse::<Digest>().ok());
        let mut found = self.shelves.referrers(at, subject)?;
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

/// A page of names, and the way to the next one if there is one.
fn names(
    method: &Method,
    query: &Query<'_>,
    limit: Option<usize>,
    path: &str,
    ask: impl FnOnce(&str, usize) -> Result<Vec<String>, Failure>,
    frame: impl FnOnce(&[String]) -> serde_json::Value,
) -> Outcome {
    let count = limit.unwrap_or(MAX_NAMES);
    let mut found = if count == 0 { Vec::new() } else { ask(query.get("last").unwrap_or_default(), count + 1)? };
    let more = found.len() > count;
    found.truncate(count);
    let mut answer = answer::json(StatusCode::OK, "application/json", &frame(&found));
    if let Some(last) = found.last().filter(|_| more) {
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.append_pair("n", &count.to_string()).append_pair("last", last);
        keep_namespace(&mut next, query);
        link(&mut answer, path, &next.finish());
    }
    Ok(without_body_for(method, answer))
}

fn link(answer: &mut Answer, path: &str, query: &str) {
    answer::set(answer, LINK, &format!("<{path}?{query}>; rel=\"next\""));
}

fn keep_namespace(next: &mut form_urlencoded::Serializer<'_, String>, query: &Query<'_>) {
    if let Some(namespace) = query.get("ns") {
        next.append_pair("ns", namespace);
    }
}
