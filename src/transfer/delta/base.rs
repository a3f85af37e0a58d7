//! What the receiver has, by what was sent to it or by its own word: the union of all bases of an export.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::super::destination::{RegistryPrefix, Renaming};
use crate::{
    bundle::{self, Absent, Contents, Graph, Reason},
    content::{self, Targets},
    holding::Receipt,
    oci::{Descriptor, Digest, Manifest, Name, Repository, Tag},
    trust::BaseProof,
};

/// Bundles, and repositories, that a delta names for each blob it leaves out.
const NAMED: usize = 4;

/// Questions to a registry at once.
const REQUESTS: usize = 16;

/// What the receiver has. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    held: HashMap<Digest, Held>,
    /// What bundles that artifacts are taken from have left out themselves, and whence it can be had.
    left_out: HashMap<Digest, Absent>,
    registries: Vec<RegistryBase>,
    /// Whether some of it is only known to have been sent.
    declared: bool,
}

/// Where a blob is.
#[derive(Clone, Debug, Default)]
struct Held {
    bundles: BTreeSet<Digest>,
    repositories: BTreeSet<String>,
}

/// A registry that can be asked what it has.
#[derive(Clone)]
struct RegistryBase {
    renaming: Renaming,
    targets: Arc<dyn Targets>,
}

impl fmt::Debug for RegistryBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBase").field("renaming", &self.renaming).finish_non_exhaustive()
    }
}

impl Bases {
    /// Whether nothing is known of the receiver.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.registries.is_empty() && self.left_out.is_empty()
    }

    /// Why the receiver has it; `None` where nothing was named.
    pub fn proof(&self) -> Option<BaseProof> {
        let named = !self.held.is_empty() || !self.registries.is_empty();
        named.then_some(if self.declared { BaseProof::Declared } else { BaseProof::Proven })
    }

    /// Remembers what a bundle that artifacts are taken from leaves to its receiver.
    pub fn remember(&mut self, contents: &Contents) {
        let delta = contents.absent.values().filter(|absent| absent.reason == Reason::Delta);
        self.left_out.extend(delta.map(|absent| (absent.digest, absent.clone())));
    }

    /// What is known of content that a place has left out itself.
    pub(in crate::transfer) fn remembered(&self, absent: &Absent) -> Absent {
        let known = self.left_out.get(&absent.digest).filter(|known| known.reason == absent.reason);
        known.unwrap_or(absent).clone()
    }

    /// Adds what a target confirmed.
    pub fn add_receipt(&mut self, receipt: &Receipt) {
        for holding in &receipt.holdings {
            for blob in &holding.blobs {
                let held = self.held.entry(*blob).or_default();
                held.bundles.extend(holding.bundle);
                held.repositories.extend([holding.source.clone(), holding.repository.clone()]);
            }
        }
    }

    /// Adds everything that `contents` has, and what its own base had. `bundle` is its id, where it is a bundle.
    ///
    /// # Errors
    /// It is more than a run can handle.
    pub fn add_contents(&mut self, contents: &Contents, bundle: Option<Digest>) -> bundle::Result<()> {
        self.declared = true;
        let graph = Graph::of(contents);
        for member in graph.members()? {
            let repository = member.root.reference.context().to_string();
            let attached = graph.attached(&member)?;
            let manifests = member.manifests.manifests().chain(attached.manifests());
            for blob in manifests.flat_map(|manifest| Manifest::blobs(manifest)) {
                self.add_blob(blob, contents.absent.get(&blob.digest), bundle, &repository);
            }
        }
        Ok(())
    }

    fn add_blob(&mut self, blob: &Descriptor, absent: Option<&Absent>, bundle: Option<Digest>, repository: &str) {
        if absent.is_some_and(|absent| absent.reason != Reason::Delta) {
            return;
        }
        let held = self.held.entry(blob.digest).or_default();
        held.repositories.insert(repository.to_owned());
        match absent {
            Some(absent) => {
                held.bundles.extend(&absent.bundles);
                held.repositories.extend(absent.repositories.iter().cloned());
            }
            None => held.bundles.extend(bundle),
        }
    }

    /// Keeps only what `keep` says of what was added so far.
    pub(in crate::transfer) fn retain(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.held.retain(|digest, _| keep(digest));
    }

    /// Adds a registry, in which artifacts are under `to`. It is asked for each blob when the plan is known.
    pub fn add_registry(&mut self, to: RegistryPrefix, targets: Arc<dyn Targets>) {
        self.registries.push(RegistryBase { renaming: Renaming { to, keep_host: false, rules: Vec::new() }, targets });
    }

    /// Whether the receiver is known to have a blob.
    pub(in crate::transfer) fn holds(&self, blob: &Digest) -> bool {
        self.held.contains_key(blob)
    }

    /// How a bundle leaves `blob` out.
    pub(in crate::transfer) fn absent(&self, blob: &Descriptor) -> Option<Absent> {
        let held = self.held.get(&blob.digest)?;
        Some(Absent {
            bundles: held.bundles.iter().take(NAMED).copied().collect(),
            repositories: held.repositories.iter().take(NAMED).cloned().collect(),
            ..Absent::new(blob.digest, Reason::Delta, blob.size)
        })
    }

    /// The same bases, with what the registries among them have of `wanted`: blobs of repositories at the sender.
    ///
    /// # Errors
    /// A registry does not answer.
    pub(in crate::transfer) async fn asked(
        &self,
        wanted: &HashSet<(&Repository, &Descriptor)>,
    ) -> content::Result<Self> {
        let mut known = self.clone();
        for base in &self.registries {
            let questions: Vec<_> = wanted.iter().filter(|(_, blob)| !self.holds(&blob.digest)).collect();
            let mut answers = stream::iter(questions.into_iter().map(|&(source, blob)| async move {
                let Some(there) = base.target_of(source) else { return Ok((source, blob, false)) };
                let found = base.targets.target(&there).contains(blob).await?;
                Ok::<_, content::Error>((source, blob, found))
            }))
            .buffer_unordered(REQUESTS);
            while let Some(answer) = answers.next().await {
                let (source, blob, found) = answer?;
                if found {
                    known.held.entry(blob.digest).or_default().repositories.insert(source.to_string());
                }
            }
        }
        Ok(known)
    }
}

impl RegistryBase {
    fn target_of(&self, source: &Repository) -> Option<Repository> {
        self.renaming.of(source)
    }
}

impl Renaming {
    /// The repository in the target that `source` becomes; `None` if its name would be none.
    pub(in crate::transfer) fn of(&self, source: &Repository) -> Option<Repository> {
        let path = self.repository(&source.named(&Name::Tag(Tag::latest())));
        Repository::new(&self.to.registry, &path).ok()
    }
}
