//! What all requests share; the handlers are methods of it, in the files of their subjects.

use std::sync::Arc;

use http::{HeaderMap, header::HOST};
use tokio::sync::Semaphore;

use super::{
    answer::Refusal,
    auth::Door,
    backend::{Backend, Backends, Requested},
    buffers::BufferPool,
    bundles::Bundles,
    config::{Changes, Config},
    error::ServerError,
    file::CheckedBlobs,
    metrics::Metrics,
    quota::Quota,
    tls::Tls,
};
use crate::{files::blocking::caught, store::Store};

/// See [`Frontend::parsing`].
const PARSED_AT_ONCE: usize = 4;

/// The body of a request.
pub(super) type Incoming = hyper::body::Incoming;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) store: Option<Store>,
    pub(super) backends: Backends,
    pub(super) bundles: Arc<Bundles>,
    pub(super) changes: Changes,
    pub(super) sparse: bool,
    pub(super) manifest_limit: u64,
    pub(super) tls: Option<Tls>,
    pub(super) door: Option<Door>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) checked: Arc<CheckedBlobs>,
    pub(super) buffers: BufferPool,
    pub(super) immutable_tags: bool,
    public_url: Option<String>,
    pub(super) quota: Arc<Quota>,
    /// KiB of manifests that may still be received.
    pub(super) manifest_room: Arc<Semaphore>,
    /// Manifests that are parsed at once: each takes many times its bytes.
    pub(super) parsing: Semaphore,
}

impl Frontend {
    pub(super) fn new(config: Config) -> Result<Self, ServerError> {
        let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
        if let Some(store) = &config.store {
            backends.push(Arc::new(store.clone()));
        }
        let bundles = Arc::new(Bundles::new(config.bundles));
        if !bundles.is_empty() {
            backends.push(Arc::clone(&bundles) as _);
        }
        Ok(Self {
            store: config.store,
            backends: Backends(backends),
            bundles,
            changes: config.changes,
            sparse: config.sparse,
            manifest_limit: config.manifest_limit,
            tls: config.tls.map(Tls::new).transpose()?,
            door: (config.htpasswd.is_some() || config.policy.is_some())
                .then(|| Door::new(config.htpasswd.as_deref(), config.policy.as_deref()))
                .transpose()?,
            immutable_tags: config.immutable_tags,
            public_url: config.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            quota: Arc::new(Quota::new(config.limits)),
            manifest_room: Arc::new(Semaphore::new(config.limits.manifests >> 10)),
            parsing: Semaphore::new(PARSED_AT_ONCE),
            metrics: Arc::default(),
            checked: Arc::default(),
            buffers: BufferPool::default(),
        })
    }

    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Where pushes go, if they are allowed.
    pub(super) fn writable(&self) -> Result<&Store, Refusal> {
        let store = self.store.as_ref().filter(|_| self.changes != Changes::None);
        store.ok_or_else(|| Refusal::not_allowed("this registry is read-only"))
    }

    /// Where deletes go, if they are allowed.
    pub(super) fn deletable(&self) -> Result<&Store, Refusal> {
        let store = self.writable()?;
        if self.changes == Changes::All && !self.immutable_tags {
            return Ok(store);
        }
        Err(Refusal::not_allowed("deleting is switched off in this registry"))
    }

    /// What was not in the store cannot be deleted if a bundle below it has it.
    pub(super) fn kept_below(known: bool) -> Result<(), Refusal> {
        if known { Err(Refusal::not_allowed("this is in a bundle that is served, and stays")) } else { Ok(()) }
    }

    /// Asks what there is on a thread that may wait for a disk.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        at: Requested<'_>,
        ask: impl FnOnce(&Backends, Requested<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (backends, repository) = (self.backends.clone(), at.repository.to_owned());
        let namespace = at.namespace.map(str::to_owned);
        let work = move || ask(&backends, Requested { repository: &repository, namespace: namespace.as_deref() });
        caught(work).await.map_err(|error| Refusal::internal(&error))?
    }

    /// How clients reach the server: the address that it was given, else the name that this one used. Empty where that is
    /// none that can stand in a header.
    pub(super) fn address(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
        host.filter(plain).map_or_else(String::new, |host| format!("{}://{host}", self.scheme()))
    }

    /// Makes a path of ours whole where clients reach us by another address than they seem to.
    pub(super) fn locate(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_deref().unwrap_or_default())
    }
}
