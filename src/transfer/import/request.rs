//! What to import, and how.

use crate::transfer::destination::{RegistryPrefix, Renaming, Rule};

/// Transfers at once where nothing is said.
const JOBS: usize = 4;

/// Small blobs and requests at once where nothing is said.
const SMALL_JOBS: usize = 64;

/// What to import, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, and any combination makes sense")]
#[non_exhaustive]
pub struct Request {
    /// Where to.
    pub to: RegistryPrefix,
    /// Whether the source's host becomes the first part of the repository.
    pub keep_host: bool,
    /// Rewrite rules, the first that matches wins.
    pub map: Vec<Rule>,
    /// Whether tags that point elsewhere are moved.
    pub overwrite_tags: bool,
    /// Import what can be imported.
    pub continue_on_errors: bool,
    /// Make foreign layers distributable; their images get new digests.
    pub rewrite_foreign: bool,
    /// Re-hash the whole bundle before the first push.
    pub verify_first: bool,
    /// Remove the bundles once every artifact is confirmed in the target.
    pub delete_source: bool,
    /// Ask for each blob also where the tag is right already.
    pub check_blobs: bool,
    /// Ask the target at the end for everything that it should have, for [`super::super::report::Report::receipt`].
    pub receipt: bool,
    /// Transfers at once; at least one.
    pub jobs: usize,
    /// Blobs below 1 MiB, and other requests, at once; a registry gets no more of them than it answers faster.
    pub small_jobs: usize,
}

impl Request {
    /// Everything in the bundles to `to`. Tags that point elsewhere stay, and the first failure ends the run.
    pub fn new(to: RegistryPrefix) -> Self {
        Self {
            to,
            keep_host: false,
            map: Vec::new(),
            overwrite_tags: false,
            continue_on_errors: false,
            rewrite_foreign: false,
            verify_first: false,
            delete_source: false,
            check_blobs: false,
            receipt: false,
            jobs: JOBS,
            small_jobs: SMALL_JOBS,
        }
    }

    /// How names change on the way.
    pub(in crate::transfer) fn renaming(&self) -> Renaming {
        Renaming { to: self.to.clone(), keep_host: self.keep_host, rules: self.map.clone() }
    }
}
