//! A registry as a place that artifacts come from and go to.

use std::sync::Arc;

use async_trait::async_trait;

use super::{client::Client, repository::RemoteRepository};
use crate::{
    content::{self, Assign, Mount, Origin, Origins, Source, Target, Targets},
    oci::{self, Descriptor, Digest, Manifest, Tag},
};

impl Origins for Client {
    fn origin(&self, repository: &oci::Repository) -> Arc<dyn Origin> {
        Arc::new(self.repository(repository.registry(), repository.path()).only_read())
    }
}

impl Targets for Client {
    fn target(&self, repository: &oci::Repository) -> Arc<dyn Target> {
        Arc::new(self.repository(repository.registry(), repository.path()))
    }

    fn source(&self, repository: &oci::Repository) -> Option<Arc<dyn Source>> {
        Some(self.origin(repository))
    }
}

impl Origin for RemoteRepository {}

#[async_trait]
impl Target for RemoteRepository {
    fn mounts(&self) -> Option<&dyn Mount> {
        Some(self)
    }

    async fn is_whole(&self, index: &Digest) -> bool {
        self.takes_whole_indexes(index).await
    }

    async fn put(&self, tag: &Tag, manifest: &Manifest) -> content::Result<()> {
        // A registry takes a manifest under its tag as it takes it under its digest.
        self.tag(tag, manifest).await
    }

    async fn attach(&self, subject: &Digest, manifests: &[Manifest]) -> content::Result<()> {
        Ok(self.put_attached(subject, manifests).await?)
    }
}

#[async_trait]
impl Mount for RemoteRepository {
    async fn mount(&self, blob: &Descriptor, from: &oci::Repository) -> content::Result<bool> {
        if from.registry() != self.registry() {
            return Ok(false);
        }
        Ok(self.mount_blob(blob, from.path()).await?)
    }
}
