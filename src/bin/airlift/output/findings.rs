//! What verification found, for people and scripts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use airlift::{
    bundle,
    content::{Class, Code, Fault as _},
    oci::{Digest, Reference},
    transfer::verify::Verification,
};
use serde::{Serialize, Serializer};

use super::{count, size};
use crate::failure::causes;

/// What is to be said of one bundle.
#[derive(Serialize)]
pub(crate) struct Verdict {
    path: PathBuf,
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Digest>,
    artifacts: u64,
    blobs: u64,
    bytes: u64,
    pub(crate) findings: Vec<Finding>,
}

/// Something that is not as it must be.
#[derive(Serialize)]
pub(crate) struct Finding {
    #[serde(rename = "token", serialize_with = "token")]
    pub(crate) code: Code,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn token<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.token())
}

impl Verdict {
    /// After all was read.
    pub(crate) fn of(path: &Path, verification: Verification) -> Self {
        let Verification { id, artifacts, blobs, bytes, findings, .. } = verification;
        let finding = |one: airlift::transfer::verify::Finding| Finding {
            code: one.code,
            artifacts: one.artifacts,
            digest: one.digest,
            offset: one.offset,
            message: one.message,
        };
        let findings: Vec<_> = findings.into_iter().map(finding).collect();
        Self { path: path.to_owned(), sound: findings.is_empty(), bundle: Some(id), artifacts, blobs, bytes, findings }
    }

    /// Where the damage is such that the bundle cannot be read further; other failures are none of the bundle's.
    pub(crate) fn unreadable(path: &Path, error: bundle::Error) -> Result<Self, bundle::Error> {
        let code = error.code();
        if code.class() != Class::Unverified {
            return Err(error);
        }
        let message = [error.to_string()].into_iter().chain(causes(&error)).collect::<Vec<_>>().join(": ");
        let finding = Finding { code, artifacts: Vec::new(), digest: error.digest(), offset: error.offset(), message };
        let findings = vec![finding];
        Ok(Self { path: path.to_owned(), sound: false, bundle: None, artifacts: 0, blobs: 0, bytes: 0, findings })
    }
}

/// A line for a sound bundle; a line a finding for any other.
pub(crate) fn text(verdict: &Verdict) -> String {
    let path = verdict.path.display();
    if verdict.sound {
        let Verdict { artifacts, blobs, bytes, .. } = verdict;
        let id = verdict.bundle.map(|id| format!("\n  id {id}")).unwrap_or_default();
        return format!(
            "{path}: sound; {}, {}, {} re-hashed{id}\n",
            count(*artifacts, "artifact"),
            count(*blobs, "blob"),
            size(*bytes)
        );
    }
    let mut text = format!("{path}: {}\n", count(verdict.findings.len(), "finding"));
    for finding in &verdict.findings {
        let _ = write!(text, "  [{}] {}", finding.code, finding.message);
        if !finding.artifacts.is_empty() {
            let names: Vec<_> = finding.artifacts.iter().map(ToString::to_string).collect();
            let _ = write!(text, ", of {}", names.join(", "));
        }
        if let Some(offset) = finding.offset
            && !finding.message.contains("at byte")
        {
            let _ = write!(text, ", at byte {offset}");
        }
        text.push('\n');
    }
    text
}
