//! What a run did, artifact by artifact, for scripts and for the next run.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Serialize;

use super::{
    delta::needs::Needs,
    failure::{Failure, Side},
};
use crate::{
    bundle::{Index, Root},
    content::Fault,
    holding::{Receipt, Received},
    oci::{Digest, Reference},
};

/// How an artifact came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactState {
    /// It is where it should be, and something was moved for it.
    Done,
    /// It was there already; nothing was moved for it.
    AlreadyThere,
    /// It failed; `reason` says why.
    Failed,
    /// The run ended before it came to it.
    NotReached,
}

/// Why an artifact failed, in words and as a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The stable token, see docs/errors.md.
    pub token: &'static str,
    /// Where it went wrong.
    pub side: Side,
    /// The whole chain of causes, outermost first.
    pub message: String,
}

/// One artifact of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Its name at the source.
    pub reference: Reference,
    /// Its name at the target, for an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Reference>,
    /// Its root manifest, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The root manifest it has in the target, where `--rewrite-foreign` made another of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewritten: Option<Digest>,
    /// How it came out.
    pub state: ArtifactState,
    /// Bytes of its blobs, shared ones included.
    pub bytes: u64,
    /// Manifests attached to it that travel with it: signatures, SBOMs, attestations.
    pub attached: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Outcome {
    /// An artifact of which nothing is known yet.
    pub const fn unknown(reference: Reference) -> Self {
        Self {
            reference,
            target: None,
            digest: None,
            rewritten: None,
            state: ArtifactState::NotReached,
            bytes: 0,
            attached: 0,
            reason: None,
        }
    }

    /// Notes that it failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.state = ArtifactState::Failed;
        self.reason =
            Some(Reason { token: failure.code().token(), side: failure.side, message: chain(&failure.cause) });
    }
}

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Every artifact asked for, in the order of their names.
    pub artifacts: Vec<Outcome>,
    /// Blob bytes that were moved.
    pub bytes_moved: u64,
    /// Blob bytes that were in place already.
    pub bytes_reused: u64,
    /// The bundle that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Bytes of that bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// The bundle's id: the SHA-256 of its `index.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// Its recovery files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<PathBuf>,
    /// Blobs that are in volumes which were not there, and not in the target: artifacts that were not reached need them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lacking: BTreeSet<Digest>,
    /// What an export left out, since the receiver has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Needs>,
    /// What the target confirmed at the end, where that was asked for.
    #[serde(skip)]
    pub receipt: Option<Box<Receipt>>,
    /// What the person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report {
    /// The artifacts of a bundle, of which only names and digests are known.
    pub(super) fn of_roots(index: &Index) -> Self {
        let outcome =
            |root: &Root| Outcome { digest: Some(root.descriptor.digest), ..Outcome::unknown(root.reference.clone()) };
        let mut artifacts: Vec<Outcome> = index.roots().iter().map(outcome).collect();
        artifacts.sort_by(|a, b| a.reference.cmp(&b.reference));
        Self { artifacts, ..Self::default() }
    }

    /// Whether an artifact failed.
    pub fn failed(&self) -> bool {
        self.artifacts.iter().any(|outcome| outcome.state == ArtifactState::Failed)
    }

    /// The artifacts to try again: those that failed, and those that the run did not reach.
    pub fn retry(&self) -> impl Iterator<Item = &Reference> {
        let again = |state| matches!(state, ArtifactState::Failed | ArtifactState::NotReached);
        self.artifacts.iter().filter(move |outcome| again(outcome.state)).map(|outcome| &outcome.reference)
    }

    /// Warns of artifacts that the receipt does not confirm, though the run moved them.
    pub(super) fn warn_of_unconfirmed(&mut self) {
        let artifacts = self.receipt.iter().flat_map(|receipt| &receipt.artifacts);
        let unconfirmed = artifacts.filter(|artifact| artifact.result == Received::Unconfirmed);
        let warnings: Vec<_> = unconfirmed
            .map(|one| {
                format!("{}: the target does not have all of it any more, so the receipt leaves it out", one.target)
            })
            .collect();
        self.warnings.extend(warnings);
    }

    /// Notes failures with their artifacts.
    pub(crate) fn fail(&mut self, failures: &[Failure]) {
        for failure in failures {
            if let Some(outcome) = self.artifacts.iter_mut().find(|outcome| outcome.reference == failure.artifact) {
                outcome.fail(failure);
            }
        }
    }
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
