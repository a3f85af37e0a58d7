//! A bundle as a place that artifacts come from: its repositories, each with the names that the bundle's index gives.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Index, Reader};
use crate::{
    content::{self, Absence, ByteStream, Lookup, Origin, Origins, Referrers, Resolve, Source},
    oci::{self, Descriptor, Digest, Manifest, Name},
};

impl Origins for Reader {
    fn origin(&self, repository: &oci::Repository) -> Arc<dyn Origin> {
        Arc::new(BundleRepository { reader: self.clone(), repository: repository.clone() })
    }
}

/// One repository of a bundle.
struct BundleRepository {
    reader: Reader,
    repository: oci::Repository,
}

impl BundleRepository {
    fn index(&self) -> &Index {
        self.reader.index()
    }
}

#[async_trait]
impl Lookup for BundleRepository {
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        self.reader.contains(content).await
    }
}

#[async_trait]
impl Source for BundleRepository {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        self.reader.fetch(content, from).await
    }
}

#[async_trait]
impl Resolve for BundleRepository {
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        let digest = match name {
            Name::Digest(digest) => Some(*digest),
            Name::Tag(tag) => {
                let mut roots = self.index().roots().iter();
                let named = |reference: &oci::Reference| {
                    reference.tag() == Some(tag) && *reference.context() == self.repository
                };
                roots.find(|root| named(&root.reference)).map(|root| root.descriptor.digest)
            }
        };
        let manifest = digest.and_then(|digest| self.reader.manifest(&digest)).cloned();
        manifest.ok_or_else(|| content::Error::NotFound { what: format!("{name} of {}", self.repository) })
    }
}

#[async_trait]
impl Referrers for BundleRepository {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        let repository = self.repository.to_string();
        let attached = self.index().attached().iter().filter(|one| one.repository == repository);
        let manifests = attached.filter_map(|one| self.reader.manifest(&one.descriptor.digest));
        let attached = manifests.filter(|manifest| manifest.subject().is_some_and(|found| found.digest == *subject));
        Ok(attached.map(|manifest| manifest.descriptor().clone()).collect())
    }
}

impl Origin for BundleRepository {
    fn absence(&self, content: &Digest) -> Option<Absence> {
        self.reader.contents().absent.get(content).map(|absent| absent.reason)
    }
}
