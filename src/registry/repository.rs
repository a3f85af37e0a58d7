//! One repository, as the place that the engine knows.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use reqwest::{Method, StatusCode, header::HeaderMap};

use crate::{
    content::{self, Assign, ByteStream, Lookup, Referrers, Resolve, Sink, Source, Verified},
    oci::{Descriptor, Digest, Manifest, Name, Tag, media_type, reference},
};

use super::{
    answer::Answer,
    auth::{Grant, scope::Scopes},
    error::{At, Error},
    transport::{Call, Payload, Transport, origin},
};

/// A repository on a registry. Cheap to clone.
#[derive(Clone)]
pub struct RemoteRepository {
    pub(super) transport: Arc<Transport>,
    registry: Arc<str>,
    name: Arc<str>,
    /// Content is only read from it in this run, so that what it lists once stays true.
    is_origin: bool,
}

impl RemoteRepository {
    pub(super) fn new(transport: Arc<Transport>, registry: &str, repository: &str) -> Self {
        Self { transport, registry: registry.into(), name: repository.into(), is_origin: false }
    }

    /// The same, where nothing is put into the repository.
    pub(super) fn only_read(self) -> Self {
        Self { is_origin: true, ..self }
    }

    /// Whether nothing is put into it.
    pub(super) const fn is_origin(&self) -> bool {
        self.is_origin
    }

    /// The registry, as a reference names it: `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository below it: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.name
    }

    /// The descriptor of the manifest of that name, without its bytes; `None` if it is definitely not there.
    ///
    /// It is the registry's word, not checked: good for "is it there", not for "is it this".
    pub async fn head(&self, name: &Name) -> content::Result<Option<Descriptor>> {
        Ok(self.head_manifest(name).await?)
    }

    /// Asks the registry to take `blob` over from another of its repositories. `false`: it has to be uploaded.
    pub async fn mount(&self, blob: &Descriptor, from_repository: &str) -> content::Result<bool> {
        Ok(self.mount_blob(blob, from_repository).await?)
    }

    /// Every tag of the repository, sorted (distribution-spec 1.1, "Listing Tags").
    pub async fn tags(&self) -> content::Result<Vec<Tag>> {
        Ok(self.list_tags().await?)
    }

    pub(super) fn at(&self, what: impl Into<String>) -> At {
        At {
            registry: self.registry.to_string(),
            repository: Some(self.name.to_string()),
            what: what.into(),
            via: None,
        }
    }

    /// A call to `/v2/<repository>/<path>`; `path` is made of digests, tags and words of ours only.
    pub(super) async fn call(&self, method: Method, path: &str, at: &At) -> Result<Call, Error> {
        if !reference::is_repository(&self.name) {
            return Err(Error::Name { at: at.clone() });
        }
        let base = self.transport.endpoint(&self.registry, at).await?;
        let url = base.join(&format!("v2/{}/{path}", self.name)).map_err(|_| Error::Name { at: at.clone() })?;
        let reads = matches!(method, Method::GET | Method::HEAD);
        let scopes = if reads { Scopes::pull(&self.name) } else { Scopes::push(&self.name) };
        Ok(Call {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: Some(Grant { registry: self.registry.to_string(), origin: origin(&base), scopes, is_guest: false }),
            at: at.clone(),
            patience: self.transport.settings.retry.answer,
        })
    }

    /// Makes a call until it is answered with one of `good`, within the limits of patience.
    pub(super) async fn persist(&self, good: &[StatusCode], call: Call) -> Result<Answer, Error> {
        let settings = &self.transport.settings;
        let mut waits = self.transport.waits();
        loop {
            let error = match self.transport.send(call.clone()).await {
                Ok(answer) if good.contains(&answer.status()) => return Ok(answer),
                Ok(answer) => answer.failure().await,
                Err(error) => error,
            };
            waits.after(error, &call.at, &settings.progress).await?;
        }
    }
}

#[async_trait]
impl Lookup for RemoteRepository {
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        if media_type::is_manifest(&content.media_type) {
            return Ok(self.head_manifest(&Name::Digest(content.digest)).await?.is_some());
        }
        Ok(self.has_blob(content).await?)
    }
}

#[async_trait]
impl Source for RemoteRepository {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        if media_type::is_manifest(&content.media_type) {
            return self.fetch_manifest(content, from).await;
        }
        self.fetch_blob(content, from).await
    }
}

#[async_trait]
impl Sink for RemoteRepository {
    async fn push(&self, content: &Descriptor, body: Verified) -> content::Result<()> {
        if media_type::is_manifest(&content.media_type) {
            return self.push_manifest(content, body).await;
        }
        self.push_blob(content, body).await
    }
}

#[async_trait]
impl Resolve for RemoteRepository {
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        Ok(self.get_manifest(name).await?)
    }

    async fn head(&self, name: &Name) -> content::Result<Option<Digest>> {
        Ok(self.head_manifest(name).await?.map(|found| found.digest))
    }
}

#[async_trait]
impl Assign for RemoteRepository {
    async fn tag(&self, tag: &Tag, manifest: &Manifest) -> content::Result<()> {
        let name = Name::Tag(tag.clone());
        self.put_manifest(&name, manifest).await?;
        Ok(self.confirm_named(&name, manifest).await?)
    }

    async fn confirm(&self, manifest: &Manifest) -> content::Result<()> {
        Ok(self.confirm_named(&Name::Digest(manifest.digest()), manifest).await?)
    }
}

#[async_trait]
impl Referrers for RemoteRepository {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        Ok(self.list_referrers(subject).await?)
    }
}

impl fmt::Debug for RemoteRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteRepository({}/{})", self.registry, self.name)
    }
}
