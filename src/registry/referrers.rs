//! What is attached to a manifest (distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject").
//!
//! A registry that keeps no referrers has them in an index under a tag that clients maintain. That index is everybody's:
//! it is read, added to and written back on the condition that nobody was faster, and read once more to make sure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue},
};
use serde_json::{Value, json};

use crate::oci::{Descriptor, Digest, Manifest, Name, Tag, media_type};

use super::{
    error::{At, Error},
    page::Page,
    repository::Repository,
};

/// How often an index that others write at the same time is merged again.
const MERGES: u32 = 8;

/// The fallback tags that this client is writing, so that its own tasks do not race.
#[derive(Default)]
pub(super) struct Writing(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Writing {
    fn of(&self, key: String) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

impl Repository {
    /// What is attached to `subject`, sorted by digest: by the API, or where the registry has none by the fallback tag.
    pub(super) async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.referrers_by_api(subject).await {
            Err(Error::NotFound { .. }) => self.referrers_by_tag(subject).await,
            other => other,
        }
    }

    async fn referrers_by_api(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let at = self.at(format!("referrers of {subject}"));
        let mut call = self.call(Method::GET, &format!("referrers/{subject}"), &at).await?;
        call.headers.insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let mut found = BTreeMap::new();
        self.pages(call, |page| {
            for descriptor in listed(&at, page)? {
                found.insert(descriptor.digest, descriptor);
            }
            Ok(())
        })
        .await?;
        Ok(found.into_values().collect())
    }

    async fn referrers_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = Tag::referrers_fallback(subject);
        match self.get_manifest(&Name::Tag(tag)).await {
            Ok(index) => {
                let children = index.children().iter().cloned();
                let found: BTreeMap<_, _> = children.map(|child| (child.digest, child)).collect();
                Ok(found.into_values().collect())
            }
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Notes in the fallback index that `manifest` is attached to `subject`; whatever else stands there stays.
    pub(super) async fn attach(&self, manifest: &Manifest, subject: &Digest) -> Result<(), Error> {
        let tag = Tag::referrers_fallback(subject);
        let at = self.at(format!("referrers tag {tag}"));
        let writing = self.transport.writing.of(format!("{}/{}:{tag}", self.registry(), self.repository()));
        let _alone = writing.lock().await;
        let name = Name::Tag(tag);
        let settings = &self.transport.settings;
        let mut waits = settings.retry.waits();
        for _ in 0..MERGES {
            let (present, etag) = match self.get_manifest_and_etag(&name).await {
                Ok((index, etag)) => (Some(index), etag),
                Err(Error::NotFound { .. }) => (None, None),
                Err(error) => return Err(error),
            };
            let Some(merged) = merged(&at, present.as_ref(), manifest)? else { return Ok(()) };
            if merged.raw().len() as u64 > settings.manifest_limit() {
                return Err(Error::TooLarge { at, limit: settings.manifest_limit() });
            }
            match self.put_manifest_bytes(&at, &name, &merged, etag.as_deref()).await {
                // Written, or somebody was faster. Where the condition means nothing to the registry both look alike, for
                // the last writer wins: only reading once more tells.
                Ok(_) | Err(Error::Refused { status: 412 | 409, .. }) => {}
                Err(error) => return Err(error),
            }
            let now = self.get_manifest(&name).await?;
            if now.children().iter().any(|child| child.digest == manifest.digest()) {
                return Ok(());
            }
            let lost = Error::Server { at: at.clone(), status: 412, after: None, detail: super::Detail::default() };
            waits.after(lost, &at, &settings.progress).await?;
        }
        Err(Error::Protocol { at, reason: format!("others changed it {MERGES} times while it was being written") })
    }
}

/// The descriptors of one page of the referrers API.
fn listed(at: &At, page: Page) -> Result<Vec<Descriptor>, Error> {
    let essence = page.content_type.as_deref().and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if essence != media_type::OCI_INDEX {
        // A proxy's page for people, with status 200, must not read as "nothing attached".
        let reason = format!("referrers came as {essence:?} instead of {:?}", media_type::OCI_INDEX);
        return Err(Error::Protocol { at: at.clone(), reason });
    }
    let index = Manifest::parse(page.body.into(), Some(media_type::OCI_INDEX));
    let index = index.map_err(|source| Error::Manifest { at: at.clone(), source })?;
    Ok(index.children().to_vec())
}

/// `present` with `attached` added; `None` if it is in there already.
fn merged(at: &At, present: Option<&Manifest>, attached: &Manifest) -> Result<Option<Manifest>, Error> {
    let malformed = |source| Error::Manifest { at: at.clone(), source };
    let mut document = match present {
        None => json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}),
        Some(index) if index.media_type() != media_type::OCI_INDEX => {
            let reason = format!("{:?} stands there, which is no index of referrers", index.media_type());
            return Err(Error::Protocol { at: at.clone(), reason });
        }
        Some(index) if index.children().iter().any(|child| child.digest == attached.digest()) => return Ok(None),
        // By value and not by view, so that what others wrote and we do not know stays.
        Some(index) => serde_json::from_slice(index.raw()).map_err(|error| Error::Protocol {
            at: at.clone(),
            reason: format!("an index that cannot be read: {error}"),
        })?,
    };
    let mut descriptor = attached.descriptor().clone();
    // distribution-spec 1.1, "Listing Referrers": the manifest's annotations are the descriptor's.
    let own: Option<Value> = serde_json::from_slice(attached.raw()).ok();
    if let Some(annotations) = own.as_ref().and_then(|own| own.get("annotations")?.as_object()) {
        let texts = annotations.iter().filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())));
        descriptor.annotations = texts.collect();
    }
    if let Some(list) = document.get_mut("manifests").and_then(Value::as_array_mut) {
        list.push(json!(descriptor));
    }
    Manifest::parse(document.to_string().into(), Some(media_type::OCI_INDEX)).map(Some).map_err(malformed)
}
