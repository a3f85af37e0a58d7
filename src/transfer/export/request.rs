//! What to export.

use std::sync::Arc;

use super::super::{
    delta::base::Bases,
    resolve::{ReferrerLimits, Selection},
};
use crate::oci::{Platform, Reference};

/// Transfers at once where nothing is said.
const JOBS: usize = 6;

/// Small blobs and questions at once where nothing is said.
const SMALL_JOBS: usize = 64;

/// What to do with non-distributable layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// Carry them: the far side has no other way to them.
    #[default]
    Include,
    /// Leave them out, and say so in the bundle.
    Skip,
}

/// What to export, and how. [`Request::new`] takes everything that the artifacts have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Which artifacts. Their order does not matter, and doubles count once.
    pub artifacts: Vec<Reference>,
    /// Platforms to keep of an index; empty keeps all.
    pub platforms: Vec<Platform>,
    /// Non-distributable layers.
    pub foreign: Foreign,
    /// Whether signatures, SBOMs and attestations travel too.
    pub referrers: bool,
    /// Pack what can be packed.
    pub continue_on_errors: bool,
    /// Transfers at once; at least one.
    pub jobs: usize,
    /// What the receiver has, which is left out.
    pub bases: Arc<Bases>,
    /// Blobs below 1 MiB, and questions, at once; a registry gets no more of them than it answers faster.
    pub small_jobs: usize,
    /// How far attached artifacts are followed.
    pub limits: ReferrerLimits,
}

impl Request {
    /// All of `artifacts`: every platform, non-distributable layers, and what is attached.
    pub fn new(artifacts: Vec<Reference>) -> Self {
        Self {
            artifacts,
            platforms: Vec::new(),
            foreign: Foreign::Include,
            referrers: true,
            continue_on_errors: false,
            jobs: JOBS,
            bases: Arc::default(),
            small_jobs: SMALL_JOBS,
            limits: ReferrerLimits::default(),
        }
    }

    pub(in crate::transfer) fn selection(&self) -> Selection {
        Selection { platforms: self.platforms.clone(), referrers: self.referrers, limits: self.limits }
    }
}
