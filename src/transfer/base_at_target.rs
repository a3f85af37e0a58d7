//! Base layers of packed files, found in the repositories that their artifacts go to.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;

use super::import::Request;
use crate::{
    bundle::Reader,
    content::Targets,
    oci::{Descriptor, Repository},
    pack::{self, BaseFinder, FoundLayer},
};

/// The places that artifacts go to, as where base layers are.
pub struct TargetBase {
    targets: Arc<dyn Targets>,
    request: Request,
}

impl TargetBase {
    /// What `targets` has where an import by `request` puts artifacts.
    pub fn new(targets: Arc<dyn Targets>, request: Request) -> Self {
        Self { targets, request }
    }

    /// The repositories of a bundle's artifacts.
    fn repositories(&self, documents: &Reader) -> BTreeSet<Repository> {
        let renaming = self.request.renaming();
        let roots = documents.contents().index.roots();
        roots.iter().filter_map(|root| renaming.of(root.reference.context())).collect()
    }
}

#[async_trait]
impl BaseFinder for TargetBase {
    async fn find(&self, documents: &Reader, layers: &[Descriptor]) -> pack::Result<Vec<FoundLayer>> {
        let repositories = self.repositories(documents);
        let source = |one: &Repository| Some((one.to_string(), self.targets.source(one)?));
        let mut sources: Vec<_> = repositories.iter().filter_map(source).collect();
        let mut found = Vec::with_capacity(layers.len());
        for layer in layers {
            for at in 0..sources.len() {
                if sources[at].1.contains(layer).await? {
                    // The layers of an image are in one repository, so that is asked first from now on.
                    sources.swap(0, at);
                    let (place, from) = sources[0].clone();
                    found.push(FoundLayer { layer: layer.clone(), from, place });
                    break;
                }
            }
        }
        Ok(found)
    }
}

impl fmt::Debug for TargetBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetBase({})", self.request.to.registry)
    }
}
