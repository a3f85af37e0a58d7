//! What became of a run: `properties.response` of a pipeline run, with a result for each artifact.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::resource::Kind;
use crate::{
    content::{Code, Fault},
    transfer::{ArtifactState, Report},
};

/// How far a run is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is under way.
    Running,
    /// Everything that was asked for is done.
    Succeeded,
    /// Some artifacts failed, the others are done (`ContinueOnErrors`).
    PartiallySucceeded,
    /// It failed.
    Failed,
    /// Its process is gone; the same request resumes it.
    Interrupted,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Succeeded, Self::PartiallySucceeded, Self::Failed, Self::Interrupted];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::PartiallySucceeded => "PartiallySucceeded",
            Self::Failed => "Failed",
            Self::Interrupted => "Interrupted",
        }
    }

    /// Whether there is nothing more to come.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallySucceeded | Self::Failed)
    }
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// How far it is.
    pub status: Status,
    /// Full names in the registry of what was imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported_artifacts: Vec<String>,
    /// How much of it is done.
    pub progress: Percentage,
    /// When it began.
    pub start_time: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Timestamp>,
    /// Where things come from: a registry, or a bundle's address without secrets.
    pub source: End,
    /// Where they go.
    pub target: End,
    /// SHA-256 of the whole bundle: said by an export, and by an import that was held to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_digest: Option<String>,
    /// What triggered it, if it was not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Why it failed, in words, with the token in brackets at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_run_error_message: Option<String>,
    /// The token of that, see docs/errors.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_token: Option<String>,
    /// Whether the target has confirmed every artifact, after which the bundle is removed (`DeleteSourceBlobOnSuccess`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// What became of each artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactResult>,
    /// Blob bytes that were moved.
    #[serde(default)]
    pub bytes_moved: u64,
    /// Blob bytes that were in place already.
    #[serde(default)]
    pub bytes_reused: u64,
    /// Calls that were made again.
    #[serde(default)]
    pub retries: u64,
    /// How often it was resumed after its process was killed.
    #[serde(default)]
    pub resumed: u64,
}

/// How much of a run is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentage {
    /// Of a hundred.
    pub percentage: u8,
}

/// One end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What it is: `Registry`, or the type of the bundle.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address, without secrets.
    pub uri: String,
}

/// What set a run off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// A bundle that landed in the source.
    pub source_trigger: SourceTrigger,
}

/// A bundle that landed in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTrigger {
    /// When it was seen.
    pub timestamp: Timestamp,
}

/// What became of one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactResult {
    /// Its full name at the source.
    pub name: String,
    /// Its full name in the target registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `Done`, `AlreadyThere`, `Failed` or `NotReached`.
    pub status: String,
    /// Its digest at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<String>,
    /// Its digest where it arrived; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_digest: Option<String>,
    /// Bytes of its blobs, shared ones included.
    pub bytes: u64,
    /// Calls to its repository that were made again.
    pub retries: u64,
    /// Why it failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The token of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Response {
    /// Takes over what the engine reports. `retries` counts the calls to a repository, `HOST/REPOSITORY`, that were made
    /// again.
    pub(super) fn take(&mut self, kind: Kind, report: &Report, retries: impl Fn(&str) -> u64) {
        let arrived = |state| matches!(state, ArtifactState::Done | ArtifactState::AlreadyThere);
        self.artifacts = report
            .artifacts
            .iter()
            .map(|outcome| ArtifactResult {
                name: outcome.reference.to_string(),
                target: outcome.target.as_ref().map(ToString::to_string),
                status: word(outcome.state).to_owned(),
                source_digest: outcome.digest.map(|digest| digest.to_string()),
                target_digest: (outcome.rewritten.or(outcome.digest))
                    .filter(|_| arrived(outcome.state))
                    .map(|digest| digest.to_string()),
                bytes: outcome.bytes,
                retries: {
                    let source = outcome.reference.context();
                    let target = outcome.target.as_ref().map(crate::oci::Reference::context);
                    retries(&source.to_string())
                        + target.filter(|target| *target != source).map_or(0, |target| retries(&target.to_string()))
                },
                reason: outcome.reason.as_ref().map(|reason| format!("{} ({})", reason.message, reason.side)),
                token: outcome.reason.as_ref().map(|reason| reason.token.to_owned()),
            })
            .collect();
        if kind == Kind::ImportPipeline {
            let done = report.artifacts.iter().filter(|outcome| arrived(outcome.state));
            self.imported_artifacts = done.filter_map(|outcome| Some(outcome.target.as_ref()?.to_string())).collect();
        }
        (self.bytes_moved, self.bytes_reused) = (report.bytes_moved, report.bytes_reused);
    }

    /// The response of a resumed run: its start stays, and so do the confirmed artifacts.
    pub(super) fn gone_on_with(self, fresh: Self) -> Self {
        let Self { start_time, confirmed, .. } = self;
        let (resumed, trigger) = (self.resumed + 1, self.trigger.or(fresh.trigger));
        let mut response = Self { start_time, trigger, confirmed, resumed, ..fresh };
        if confirmed {
            (response.imported_artifacts, response.artifacts) = (self.imported_artifacts, self.artifacts);
            (response.bytes_moved, response.bytes_reused) = (self.bytes_moved, self.bytes_reused);
            response.catalog_digest = self.catalog_digest;
        }
        response
    }

    /// Notes that some artifacts failed, and the others are done.
    pub(super) fn partly(&mut self) {
        let failed = self.artifacts.iter().filter(|artifact| artifact.token.is_some()).count();
        self.status = Status::PartiallySucceeded;
        self.error_token = Some(Code::TransferPartial.token().to_owned());
        self.pipeline_run_error_message =
            Some(format!("{failed} of {} artifacts failed; the others are done", self.artifacts.len()));
    }

    /// Whether the run failed since the target lacks a part of an update's base.
    pub(super) fn lacks_base(&self) -> bool {
        let missing = [Code::DeltaBaseMissing, Code::PackBaseMissing].map(Code::token);
        let tokens = self.artifacts.iter().filter_map(|artifact| artifact.token.as_deref());
        tokens.chain(self.error_token.as_deref()).any(|token| missing.contains(&token))
    }

    /// Notes why the run failed.
    pub(super) fn fail(&mut self, error: &impl Fault) {
        self.status = Status::Failed;
        self.error_token = Some(error.code().token().to_owned());
        self.pipeline_run_error_message = Some(crate::transfer::report::chain(error));
    }
}

const fn word(state: ArtifactState) -> &'static str {
    match state {
        ArtifactState::Done => "Done",
        ArtifactState::AlreadyThere => "AlreadyThere",
        ArtifactState::Failed => "Failed",
        ArtifactState::NotReached => "NotReached",
    }
}
