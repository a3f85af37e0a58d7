//! What verification found, for people and scripts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use airlift::{
    bundle::{self, GatheredSet, Reader},
    check::RefusedArtifact,
    content::{Class, Code, Fault},
    oci::{Digest, PeerText, Reference},
    transfer::{
        delta::needs::Needs,
        protect::{Outlook, Survey},
        verify::Verification,
    },
    trust::TrustVerdict,
};
use serde::{Serialize, Serializer};

use super::{
    count, recovery, size,
    trust::{self, TrustReport},
};
use crate::{
    failure::{CommandError, causes},
    mistake::quoted,
};

/// What is to be said of one bundle.
#[derive(Serialize)]
pub(crate) struct BundleVerdict {
    path: PathBuf,
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Digest>,
    artifacts: u64,
    blobs: u64,
    bytes: u64,
    /// What the receiver must have, where it is a delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Needs>,
    /// A fault in none of the files that are here is reported as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    pub(crate) findings: Vec<ShownFinding>,
    /// What its recovery data, if there is some, can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Outlook>,
    /// What `--trust` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<TrustReport>,
}

/// Something that is not as it must be.
#[derive(Serialize)]
pub(crate) struct ShownFinding {
    #[serde(rename = "token", serialize_with = "token")]
    pub(crate) code: Code,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Which file of a set.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn token<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.token())
}

impl ShownFinding {
    /// That something cannot be read further.
    fn of(error: &impl Fault) -> Self {
        let message = [error.to_string()].into_iter().chain(causes(error)).collect::<Vec<_>>().join(": ");
        Self { code: error.code(), artifacts: Vec::new(), digest: None, offset: None, file: None, message }
    }
}

impl From<airlift::transfer::verify::Finding> for ShownFinding {
    fn from(one: airlift::transfer::verify::Finding) -> Self {
        let airlift::transfer::verify::Finding { code, artifacts, digest, offset, file, message, .. } = one;
        Self { code, artifacts, digest, offset, file, message }
    }
}

impl BundleVerdict {
    /// After all was read.
    pub(crate) fn of(path: &Path, verification: Verification) -> Self {
        let Verification { id, artifacts, blobs, bytes, needs, findings, warnings, .. } = verification;
        let findings: Vec<_> = findings.into_iter().map(ShownFinding::from).collect();
        let notes = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        let (path, sound) = (path.to_owned(), findings.is_empty());
        Self {
            path,
            sound,
            bundle: Some(id),
            artifacts,
            blobs,
            bytes,
            needs,
            notes,
            findings,
            recovery: None,
            trust: None,
        }
    }

    /// With what is to be said of the set as a set: missing and wrong volumes. Of a volume that was looked at by itself,
    /// that the others are elsewhere is not a fault.
    pub(crate) fn with_set(mut self, reader: &Reader, set: Option<&GatheredSet>) -> Self {
        let Some(set) = set else { return self };
        let fault = |error: &bundle::Error, file: Option<PathBuf>| ShownFinding {
            digest: error.digest(),
            offset: error.offset(),
            file,
            ..ShownFinding::of(error)
        };
        let faults: Vec<_> = set.faults.iter().map(|(path, error)| fault(error, Some(path.clone()))).collect();
        self.notes.extend(set.notes.iter().cloned());
        if let missing @ [_, ..] = &set.missing()[..] {
            if set.alone {
                let here: Vec<_> = reader.volumes().into_keys().map(|number| number.to_string()).collect();
                let of = reader.cut().map_or(0, |cut| cut.volumes);
                self.notes.push(format!(
                    "this is volume {} of {of}; elsewhere: {}",
                    here.join(", "),
                    missing.join(", ")
                ));
            } else {
                let error = bundle::Error::VolumesMissing { id: reader.id(), missing: missing.to_vec() };
                self.findings.insert(0, fault(&error, None));
            }
        }
        self.findings.splice(0..0, faults);
        self.sound = self.findings.is_empty();
        self
    }

    /// Where the damage is such that the bundle cannot be read further. Other failures are none of the bundle's, unless it
    /// has recovery data, for then there was a bundle.
    pub(crate) fn unreadable(path: &Path, error: bundle::Error, protected: bool) -> Result<Self, bundle::Error> {
        if error.code().class() != Class::Unverified && !protected {
            return Err(error);
        }
        let finding = ShownFinding { digest: error.digest(), offset: error.offset(), ..ShownFinding::of(&error) };
        let (path, findings) = (path.to_owned(), vec![finding]);
        Ok(Self::nothing(path, findings))
    }

    fn nothing(path: PathBuf, findings: Vec<ShownFinding>) -> Self {
        let (artifacts, blobs, bytes, notes) = (0, 0, 0, Vec::new());
        Self {
            path,
            sound: false,
            bundle: None,
            artifacts,
            blobs,
            bytes,
            needs: None,
            notes,
            findings,
            recovery: None,
            trust: None,
        }
    }

    /// One among several that cannot be read at all.
    pub(crate) fn unread(path: &Path, failure: &CommandError) -> Self {
        let (code, message) = (failure.code(), failure.told());
        let finding = ShownFinding { code, artifacts: Vec::new(), digest: None, offset: None, file: None, message };
        let (path, findings) = (path.to_owned(), vec![finding]);
        Self::nothing(path, findings)
    }

    /// With what else was found in what is left of it.
    pub(crate) fn with_remains(mut self, remains: Option<Verification>) -> Self {
        let Some(remains) = remains else { return self };
        let told = |known: &ShownFinding, one: &ShownFinding| {
            (&known.code, known.digest, known.offset) == (&one.code, one.digest, one.offset)
                || known.message == one.message
        };
        let Self { artifacts, blobs, bytes, .. } = Self::of(&self.path, remains.clone());
        (self.artifacts, self.blobs, self.bytes) = (artifacts, blobs, bytes);
        for finding in remains.findings.into_iter().map(ShownFinding::from) {
            match self.findings.iter_mut().find(|known| told(known, &finding)) {
                // The same again, and now it is known whom it concerns.
                Some(known) => known.artifacts = finding.artifacts,
                None => self.findings.push(finding),
            }
        }
        self
    }

    /// With what its recovery data says, damage to that included.
    pub(crate) fn with_recovery(mut self, survey: &Survey) -> Self {
        self.findings.extend(survey.findings().into_iter().map(ShownFinding::from));
        self.recovery = Some(survey.outlook.clone());
        self.sound = self.findings.is_empty();
        self
    }

    /// What the recovery data of a damaged bundle is good for, as the next step.
    pub(crate) fn next_step(&self) -> Option<String> {
        let outlook = self.recovery.as_ref().filter(|_| !self.sound)?;
        let path = quoted(&self.path.to_string_lossy());
        Some(if outlook.possible {
            format!("Run `airlift repair {path}`, which rebuilds what is damaged.")
        } else {
            format!(
                "The recovery data is not enough. Copy a sound one over it, `airlift copy GOOD {path} --overwrite`, or read the \
                 medium once more into another folder and run `airlift repair FOLDER FOLDER`."
            )
        })
    }

    /// With recovery data that cannot be taken.
    pub(crate) fn without_recovery(mut self, error: &(impl Fault + Sized)) -> Self {
        self.findings.push(ShownFinding::of(error));
        self.sound = false;
        self
    }

    /// With who vouches for it.
    pub(crate) fn with_trust(mut self, verdict: &TrustVerdict) -> Self {
        self.trust = Some(verdict.into());
        self
    }

    /// With what commands have refused of it.
    pub(crate) fn with_refusals(mut self, refusals: Vec<RefusedArtifact>) -> Self {
        let finding = |one: RefusedArtifact| ShownFinding {
            code: Code::CheckRefused,
            message: one.to_string(),
            artifacts: vec![one.artifact],
            digest: None,
            offset: None,
            file: None,
        };
        self.findings.extend(refusals.into_iter().map(finding));
        self.sound = self.findings.is_empty();
        self
    }

    /// The first thing that is wrong: with its content, else with who vouches for it.
    pub(crate) fn refusal(&self) -> Option<Code> {
        let content = self.findings.first().map(|finding| finding.code);
        content.or_else(|| self.trust.as_ref().and_then(|trust| trust.refusal))
    }
}

/// A line for a sound bundle; a line a finding for any other.
pub(crate) fn text(verdict: &BundleVerdict) -> String {
    let path = verdict.path.display();
    let mut notes = verdict.needs.as_ref().map(|needs| format!("  {}", super::needs(needs))).unwrap_or_default();
    for note in &verdict.notes {
        let _ = writeln!(notes, "  {note}");
    }
    let trust = verdict.trust.as_ref().map(trust::text).unwrap_or_default();
    if verdict.sound {
        let BundleVerdict { artifacts, blobs, bytes, .. } = verdict;
        let id = verdict.bundle.map(|id| format!("\n  bundle {id}")).unwrap_or_default();
        let outlook = verdict.recovery.as_ref();
        let recovery = outlook.map(|outlook| format!("\n  {}", recovery::outlook(outlook))).unwrap_or_default();
        return format!(
            "{path}: sound; {}, {}, {} re-hashed{id}{recovery}\n{notes}{trust}",
            count(*artifacts, "artifact"),
            count(*blobs, "blob"),
            size(*bytes)
        );
    }
    let mut text = format!("{path}: {}\n", count(verdict.findings.len(), "finding"));
    for finding in &verdict.findings {
        let _ = write!(text, "  [{}] ", finding.code);
        if let Some(file) = finding.file.as_ref().filter(|file| !finding.message.contains(&*file.to_string_lossy())) {
            let _ = write!(text, "{}: ", file.display());
        }
        text.push_str(&PeerText::indented(&finding.message));
        if !finding.artifacts.is_empty() {
            let names: Vec<_> = finding.artifacts.iter().map(ToString::to_string).collect();
            let _ = write!(text, "; needed by {}", names.join(", "));
        }
        if let Some(offset) = finding.offset
            && !finding.message.contains("at byte")
        {
            let _ = write!(text, ", at byte {offset}");
        }
        text.push('\n');
    }
    if let Some(outlook) = &verdict.recovery {
        let _ = writeln!(text, "  {}", recovery::outlook(outlook));
    }
    text + &notes + &trust
}
