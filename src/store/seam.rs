//! A store as a place that artifacts come from and go to. A store is one registry: the host of a repository does not matter.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Store, StoredRepository};
use crate::{
    content::{self, Mount, Origin, Origins, Source, Target, Targets},
    oci::{self, Descriptor},
};

impl Origins for Store {
    fn origin(&self, repository: &oci::Repository) -> Arc<dyn Origin> {
        Arc::new(self.repository(repository.path()))
    }
}

impl Targets for Store {
    fn target(&self, repository: &oci::Repository) -> Arc<dyn Target> {
        Arc::new(self.repository(repository.path()))
    }

    fn source(&self, repository: &oci::Repository) -> Option<Arc<dyn Source>> {
        Some(self.origin(repository))
    }
}

impl Origin for StoredRepository {}

impl Target for StoredRepository {
    fn mounts(&self) -> Option<&dyn Mount> {
        Some(self)
    }
}

#[async_trait]
impl Mount for StoredRepository {
    async fn mount(&self, blob: &Descriptor, from: &oci::Repository) -> content::Result<bool> {
        Ok(Self::mount(self, blob.digest, Some(from.path())).await?)
    }
}
