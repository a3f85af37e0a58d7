//! What a client learns of repositories while it runs, so that it asks once.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::sync::OnceCell;

use crate::oci::{Name, Tag};

/// What is known of every repository that was asked.
#[derive(Default)]
pub(super) struct Learnt {
    repositories: Mutex<HashMap<String, Arc<RepositoryFacts>>>,
    registries: Mutex<HashMap<String, Arc<RegistryFacts>>>,
    /// The fallback tags that this client is writing, so that its own tasks do not race.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Learnt {
    /// The facts about `registry/repository`.
    pub(super) fn of(&self, repository: String) -> Arc<RepositoryFacts> {
        Arc::clone(self.repositories.lock().unwrap_or_else(PoisonError::into_inner).entry(repository).or_default())
    }

    /// The facts about `registry`.
    pub(super) fn of_registry(&self, registry: &str) -> Arc<RegistryFacts> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(registries.entry(registry.to_owned()).or_default())
    }

    /// The lock of one fallback tag.
    pub(super) fn writing(&self, tag: String) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.writing.lock().unwrap_or_else(PoisonError::into_inner).entry(tag).or_default())
    }
}

/// Whether a registry has the referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferrersApi {
    /// Nothing is known yet.
    Unknown,
    /// It answered with a list.
    Present,
    /// It answered that it does not know such a path.
    Absent,
}

/// What is known of one registry.
#[derive(Default)]
pub(super) struct RegistryFacts {
    /// Whether it is the software "distribution", without the referrers API in any repository. Found out by the first question.
    pub(super) is_distribution: OnceCell<bool>,
}

/// What is known of one repository.
#[derive(Default)]
pub(super) struct RepositoryFacts {
    referrers: AtomicU8,
    /// A manifest that is there for certain, for it was fetched.
    pub(super) present: std::sync::OnceLock<Name>,
    /// The tags by which something is attached, where the repository's own list is believed.
    pub(super) attaching_tags: OnceCell<Option<HashSet<Tag>>>,
    /// Whether `HEAD` finds that manifest; only then does its 404 mean that another is absent.
    pub(super) is_head_true: OnceCell<bool>,
}

impl RepositoryFacts {
    pub(super) fn referrers_api(&self) -> ReferrersApi {
        match self.referrers.load(Ordering::Relaxed) {
            1 => ReferrersApi::Present,
            2 => ReferrersApi::Absent,
            _ => ReferrersApi::Unknown,
        }
    }

    pub(super) fn learn_referrers_api(&self, is_present: bool) {
        self.referrers.store(if is_present { 1 } else { 2 }, Ordering::Relaxed);
    }
}
