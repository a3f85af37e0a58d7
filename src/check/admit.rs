//! What an import takes of bundles of which artifacts were refused.

use super::{
    error::CheckError,
    refusal::RefusedArtifact,
    run::{CheckSettings, check},
};
use crate::{
    content::Code,
    oci::{Reference, Tag},
    transfer::{
        Choice, Opened, Outcome, Report,
        failure::Side,
        report::{ArtifactState, Reason},
    },
};

/// What is left to import.
#[derive(Clone, Debug)]
pub enum Checked {
    /// Nothing was refused.
    Everything,
    /// Some artifacts were refused.
    Some {
        /// The others; `None` if there are none.
        rest: Option<Choice>,
        /// Those that were refused.
        refusals: Vec<RefusedArtifact>,
    },
}

/// Checks what `choice` means of `bundles`, or all of it. With `go_on` what was not refused may be imported.
///
/// # Errors
/// [`CheckError::Refused`] for every artifact that was refused, without `go_on`; the checks cannot be made.
pub async fn admit(
    bundles: &[Opened],
    choice: Option<&Choice>,
    settings: &CheckSettings,
    go_on: bool,
) -> Result<Checked, CheckError> {
    let is_meant = |reference: &Reference| choice.is_none_or(|choice| choice.means(reference));
    let (mut refusals, mut all) = (Vec::new(), 0);
    for bundle in bundles {
        let (refused, checked) = check(bundle.reader(), settings, is_meant).await?;
        refusals.extend(refused);
        all += checked;
    }
    if refusals.is_empty() {
        return Ok(Checked::Everything);
    }
    if !go_on {
        return Err(CheckError::Refused { refusals, all });
    }
    let roots = bundles.iter().flat_map(|bundle| bundle.reader().index().roots()).map(|root| &root.reference);
    let listed = choice.iter().flat_map(|choice| &choice.artifacts);
    let mut left: Vec<Reference> = roots
        .filter(|reference| !reference.tag().is_some_and(Tag::is_of_attached) && is_meant(reference))
        .chain(listed)
        .filter(|reference| !refusals.iter().any(|refusal| refusal.artifact == **reference))
        .cloned()
        .collect();
    left.sort();
    left.dedup();
    let other = choice.cloned().unwrap_or_default();
    let rest = (!left.is_empty()).then_some(Choice { artifacts: left, patterns: Vec::new(), ..other });
    Ok(Checked::Some { rest, refusals })
}

/// Adds what was refused to the report of what was imported.
pub fn note(report: &mut Report, refusals: &[RefusedArtifact]) {
    for refusal in refusals {
        let reason = Reason { token: Code::CheckRefused.token(), side: Side::Bundle, message: refusal.to_string() };
        let outcome = Outcome {
            state: ArtifactState::Failed,
            reason: Some(reason),
            ..Outcome::unknown(refusal.artifact.clone())
        };
        report.artifacts.push(outcome);
    }
    report.artifacts.sort_by(|a, b| a.reference.cmp(&b.reference));
}
