//! What is attached to a manifest (distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject").
//!
//! A registry that keeps no referrers has them in an index under a tag that clients maintain. That index is everybody's:
//! it is read, added to and written back on the condition that no other client was faster, and read once more to make sure.

use std::collections::BTreeMap;

use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue},
};
use serde_json::{Value, json};

use crate::oci::{Descriptor, Digest, Manifest, ManifestError, Name, Tag, media_type};

use super::{
    answer::WholeAnswer,
    detail::Detail,
    error::{At, Error},
    learnt::ReferrersApi,
    repository::RemoteRepository,
};

/// How often an index that others write at the same time is merged again.
const MERGES: u32 = 8;

/// What to do where neither API nor tag can be asked.
const WITHOUT: &str = "`--no-referrers` leaves out what is attached";

/// What the referrers API answered.
enum ApiAnswer {
    /// A list.
    Listed(Vec<Descriptor>),
    /// There is no such API, as this refusal says.
    Refused(Box<Error>),
    /// Something else than a list came with status 200, of this type.
    Other(String),
}

impl RemoteRepository {
    /// What is attached to `subject`, sorted by digest: by the API, or where the registry has none by the fallback tag.
    pub(super) async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let facts = self.facts();
        let known = facts.referrers_api();
        if known == ReferrersApi::Absent {
            return self.referrers_by_tag(subject).await;
        }
        let (is_distribution, answer) = self.ask_first(subject).await?;
        if is_distribution {
            return self.referrers_by_tag(subject).await;
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.referrers_by_api(subject).await?,
        };
        match answer {
            ApiAnswer::Listed(list) => {
                facts.learn_referrers_api(true);
                Ok(list)
            }
            ApiAnswer::Refused(error) if known == ReferrersApi::Present && matches!(*error, Error::NotFound { .. }) => {
                Ok(Vec::new())
            }
            ApiAnswer::Refused(error) => {
                if is_lasting(&error) {
                    facts.learn_referrers_api(false);
                }
                self.referrers_by_tag(subject).await
            }
            ApiAnswer::Other(what) => self.referrers_by_tag(subject).await.map_err(|error| {
                let at = self.at(format!("referrers of {subject}"));
                let reason =
                    format!("{what} came instead of a list, and the tag cannot be asked either; {WITHOUT} ({error})");
                Error::Protocol { at, reason }
            }),
        }
    }

    /// Whether the registry is "distribution". The first question of a registry is asked alone, with `subject`: its answer may
    /// spare the others theirs. It comes with the result, where this call was the one that asked.
    async fn ask_first(&self, subject: &Digest) -> Result<(bool, Option<ApiAnswer>), Error> {
        let mut answer = None;
        let registry = self.transport.learnt.of_registry(self.registry());
        let asked = registry.is_distribution.get_or_try_init(async || {
            let first = self.referrers_by_api(subject).await?;
            let is_distribution = matches!(&first, ApiAnswer::Refused(error) if says_no_route(error));
            answer = Some(first);
            Ok::<_, Error>(is_distribution)
        });
        let is_distribution = *asked.await?;
        Ok((is_distribution, answer))
    }

    /// Whether the registry takes `index` only after all manifests that it names, as "distribution" does unless it is told
    /// otherwise.
    pub(super) async fn takes_whole_indexes(&self, index: &Digest) -> bool {
        self.ask_first(index).await.is_ok_and(|(is_distribution, _)| is_distribution)
    }

    async fn referrers_by_api(&self, subject: &Digest) -> Result<ApiAnswer, Error> {
        let at = self.at(format!("referrers of {subject}"));
        let mut call = self.call(Method::GET, &format!("referrers/{subject}"), &at).await?;
        call.headers.insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let mut found = BTreeMap::new();
        // Only the first page shows whether there is such an API; a later one that fails is missing.
        let (mut pages, mut other) = (0, None);
        let read = self.pages(call, |page| {
            let what = if page.is_page() { "a web page".to_owned() } else { format!("{:?}", page.content_type) };
            let Some(list) = listed(page)? else {
                let reason = format!("{what} came instead of a page of the list");
                other = Some(what);
                return Err(Error::Protocol { at: at.clone(), reason });
            };
            found.extend(list.into_iter().map(|descriptor| (descriptor.digest, descriptor)));
            pages += 1;
            Ok(())
        });
        match (read.await, other) {
            (Ok(()), _) => Ok(ApiAnswer::Listed(found.into_values().collect())),
            (Err(_), Some(what)) if pages == 0 => Ok(ApiAnswer::Other(what)),
            (Err(error), _) if pages == 0 && says_no_api(&error) => Ok(ApiAnswer::Refused(Box::new(error))),
            (Err(Error::NotFound { at, detail }), _) => {
                Err(Error::Protocol { at, reason: format!("a page of the list is not found{detail}") })
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn referrers_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = Tag::referrers_fallback(subject);
        match self.get_manifest(&Name::Tag(tag)).await {
            Ok(index) if is_list(&index, subject) => {
                let children = index.children().iter().cloned();
                let found: BTreeMap<_, _> = children.map(|child| (child.digest, child)).collect();
                Ok(found.into_values().collect())
            }
            // Some registries answer with the subject itself, and some tools name other things so.
            Ok(_) | Err(Error::NotFound { .. } | Error::Manifest { source: ManifestError::Schema1 { .. }, .. }) => {
                Ok(Vec::new())
            }
            Err(Error::Refused { at, status, detail }) => {
                Err(Error::Refused { at, status, detail: detail.and(WITHOUT) })
            }
            Err(error) => Err(error),
        }
    }

    /// Notes in the fallback index that `manifests` are attached to `subject`; whatever else stands there stays.
    pub(super) async fn attach(&self, manifests: &[&Manifest], subject: &Digest) -> Result<(), Error> {
        let tag = Tag::referrers_fallback(subject);
        let at = self.at(format!("referrers tag {tag}"));
        let writing = self.transport.learnt.writing(format!("{}/{}:{tag}", self.registry(), self.repository()));
        let _alone = writing.lock().await;
        let name = Name::Tag(tag);
        let settings = &self.transport.settings;
        let mut waits = self.transport.waits();
        for _ in 0..MERGES {
            let (present, etag) = match self.get_manifest_and_etag(&name).await {
                Ok((index, etag)) => (Some(index), etag),
                Err(Error::NotFound { .. }) => (None, None),
                Err(error) => return Err(error),
            };
            let Some(merged) = merged(&at, present.as_ref(), manifests, subject)? else { return Ok(()) };
            if merged.raw().len() as u64 > settings.manifest_limit() {
                return Err(Error::TooLarge { at, limit: settings.manifest_limit() });
            }
            match self.put_manifest_bytes(&at, &name, &merged, etag.as_deref()).await {
                // Written, or somebody was faster. Where the condition means nothing to the registry both look alike, for
                // the last writer wins: only reading once more shows it.
                Ok(_) | Err(Error::Refused { status: 412 | 409, .. }) => {}
                Err(error) => return Err(error),
            }
            let now = self.get_manifest(&name).await?;
            if manifests.iter().all(|manifest| names(&now, manifest)) {
                return Ok(());
            }
            let lost = Error::Server { at: at.clone(), status: 412, after: None, detail: Detail::default() };
            waits.after(lost, &at, &settings.progress).await?;
        }
        Err(Error::Protocol { at, reason: format!("others changed it {MERGES} times while it was being written") })
    }
}

/// Whether this answer says that the registry does not know the path: the specification has 404 for it, and registries
/// and proxies that look at the path's form or at the method have others.
fn says_no_api(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => true,
        Error::Refused { status, .. } => matches!(status, 400 | 405 | 406 | 410 | 415 | 422 | 501),
        _ => false,
    }
}

/// Whether this answer says that the registry's software does not know the path, in whatever repository.
fn says_no_route(error: &Error) -> bool {
    matches!(error, Error::NotFound { detail, .. } if detail.is_no_route())
}

/// Whether the answer is the same for any other subject in the repository. One that speaks of the subject is not.
fn is_lasting(error: &Error) -> bool {
    match error {
        Error::NotFound { detail, .. } => !detail.is_of_a_registry(),
        Error::Refused { status, .. } => matches!(status, 405 | 406 | 501),
        _ => false,
    }
}

/// The descriptors of one page of the referrers API; `None` if it is something else.
fn listed(page: WholeAnswer) -> Result<Option<Vec<Descriptor>>, Error> {
    let is_typed = page.content_type == media_type::OCI_INDEX;
    if page.is_page() || !(is_typed || media_type::says_nothing(&page.content_type)) {
        // A proxy's page for people, with status 200, must not read as "nothing attached".
        return Ok(None);
    }
    let at = page.at;
    match Manifest::parse(page.body.into(), Some(page.content_type.as_str()).filter(|_| is_typed)) {
        Ok(index) if index.media_type() == media_type::OCI_INDEX => Ok(Some(index.children().to_vec())),
        Err(source) if is_typed => Err(Error::Manifest { at, source }),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Whether what the fallback tag of `subject` names is a list of what is attached to it: not the subject itself, no image,
/// and no index that lists images by their platforms.
fn is_list(index: &Manifest, subject: &Digest) -> bool {
    let children = index.children();
    let is_image = |child: &Descriptor| child.platform.is_some() && child.artifact_type.is_none();
    index.media_type() == media_type::OCI_INDEX
        && Digest::of(subject.algorithm(), index.raw()) != *subject
        && (children.is_empty() || !children.iter().all(is_image))
}

/// Whether `index` names `manifest`.
fn names(index: &Manifest, manifest: &Manifest) -> bool {
    index.children().iter().any(|child| child.digest == manifest.digest())
}

/// `present` with `attached` added; `None` if all of it is in there already.
fn merged(
    at: &At,
    present: Option<&Manifest>,
    attached: &[&Manifest],
    subject: &Digest,
) -> Result<Option<Manifest>, Error> {
    let malformed = |source| Error::Manifest { at: at.clone(), source };
    let mut document = match present {
        None => json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}),
        Some(other) if !is_list(other, subject) => {
            let reason = format!(
                "{:?} has this tag, which is not a list of attached artifacts and stays as it is; {WITHOUT}",
                other.media_type()
            );
            return Err(Error::Protocol { at: at.clone(), reason });
        }
        Some(index) if attached.iter().all(|one| names(index, one)) => return Ok(None),
        // By value and not by view, so that what others wrote and we do not know stays.
        Some(index) => serde_json::from_slice(index.raw()).map_err(|error| Error::Protocol {
            at: at.clone(),
            reason: format!("an index that cannot be read: {error}"),
        })?,
    };
    let missing = attached.iter().filter(|one| present.is_none_or(|index| !names(index, one)));
    let missing = missing.map(|one| json!(described(one)));
    match document.get_mut("manifests").and_then(Value::as_array_mut) {
        Some(list) => list.extend(missing),
        None => document["manifests"] = missing.collect(),
    }
    Manifest::parse(document.to_string().into(), Some(media_type::OCI_INDEX)).map(Some).map_err(malformed)
}

/// The descriptor of an attached manifest (distribution-spec 1.1, "Listing Referrers"): with the manifest's annotations.
fn described(attached: &Manifest) -> Descriptor {
    let mut descriptor = attached.descriptor().clone();
    let own: Option<Value> = serde_json::from_slice(attached.raw()).ok();
    if let Some(annotations) = own.as_ref().and_then(|own| own.get("annotations")?.as_object()) {
        let texts = annotations.iter().filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())));
        descriptor.annotations = texts.collect();
    }
    descriptor
}
