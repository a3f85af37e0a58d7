//! Bundles made by the library itself from artifacts in memory, without a registry.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use airlift::{
    bundle::{Attached, Contents, Finished, Index, Root, Writer},
    content::{Sink, Verified},
    oci::{Descriptor, Digest},
};
use bytes::Bytes;

use super::artifacts::Artifact;

/// Artifacts with the names they go by, and those that are attached to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    /// Reference and artifact.
    pub(crate) roots: Vec<(String, Artifact)>,
    /// Repository with its host, and artifact.
    pub(crate) attached: Vec<(String, Artifact)>,
}

impl Packed {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// And this one.
    pub(crate) fn with(mut self, reference: &str, artifact: Artifact) -> Self {
        self.roots.push((reference.to_owned(), artifact));
        self
    }

    /// And this one, which was found attached in `repository`.
    pub(crate) fn attached(mut self, repository: &str, artifact: Artifact) -> Self {
        self.attached.push((repository.to_owned(), artifact));
        self
    }

    fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.roots.iter().chain(&self.attached).map(|(_, artifact)| artifact)
    }

    /// What the layout is a function of.
    pub(crate) fn contents(&self) -> Contents {
        let roots = self.roots.iter().map(|(reference, artifact)| Root {
            reference: reference.parse().unwrap(),
            descriptor: artifact.root.descriptor().clone(),
        });
        let attached = self.attached.iter().map(|(repository, artifact)| Attached {
            repository: repository.clone(),
            descriptor: artifact.root.descriptor().clone(),
        });
        let index = Index::new(roots.collect(), attached.collect());
        let manifests = self.artifacts().flat_map(Artifact::manifests).map(|m| (m.digest(), m.clone())).collect();
        Contents { index, manifests, absent: BTreeMap::new() }
    }

    /// Every blob by its digest.
    pub(crate) fn blobs(&self) -> HashMap<Digest, Bytes> {
        let blobs = self.artifacts().flat_map(Artifact::all_blobs);
        blobs.filter_map(|blob| Some((blob.descriptor.digest, blob.content.clone()?))).collect()
    }

    /// The verified body of a blob.
    pub(crate) fn body(&self, blob: &Descriptor) -> Verified {
        Verified::bytes(blob.clone(), self.blobs()[&blob.digest].clone())
    }

    /// Pushes what the writer still lacks.
    pub(crate) async fn fill(&self, writer: &Writer) {
        let blobs = self.blobs();
        for place in writer.layout().blobs() {
            let body = Verified::bytes(place.descriptor(), blobs[&place.digest].clone());
            writer.push(&place.descriptor(), body).await.unwrap();
        }
    }

    /// Writes the whole bundle.
    pub(crate) async fn write(&self, path: &Path) -> Finished {
        let writer = Writer::open(path, self.contents(), false).await.unwrap();
        self.fill(&writer).await;
        writer.finish().await.unwrap()
    }
}
