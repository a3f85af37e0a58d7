//! Finds the artifacts that files need: manifests, custom resources, charts, compose files, Dockerfiles and lists.
//!
//! Structure is walked, not searched. What is found has an origin and a [`Confidence`].

mod candidate;
mod chart;
mod compose;
mod context;
mod dockerfile;
mod error;
mod finding;
mod inventory;
mod keys;
pub mod lists;
mod parts;
mod places;
pub mod program;
mod reading;
mod rules;
mod search;
mod shapes;
mod source;
mod tags;
mod text;
pub(crate) mod tree;
mod update;
mod variables;
mod walk;

pub use error::Error;
pub use finding::{Confidence, Findings, Mention, Provenance, Remark, RuleName, Unresolved};
pub use inventory::{FoundArtifact, Inventory, Sighting};
pub use rules::{RulesError, SearchRules, matches_glob};
pub use search::{SearchOptions, search};
pub use source::{FolderKind, Searcher, folder_kind};
pub use tags::{TagFilter, TagFilterError};
pub use update::{UpdatedList, update};

#[cfg(test)]
mod tests;
