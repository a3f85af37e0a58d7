//! The result of each artifact of a run: on stdout, in the report file, and in the failure that ends the run.

use std::{fmt::Write as _, path::Path};

use airlift::{
    files::small::ReportFile,
    transfer::{self, ArtifactState, Outcome, Report, delta::needs::Needs},
};

use super::{
    count, digests, json, size,
    table::{Column, named_table, short},
};
use crate::{args::Transfer, context::Context, failure::CommandError, mistake::Mistake};

/// Ends a run: prints and saves its report, and returns a failure if an artifact failed.
pub(crate) fn conclude(
    outcome: Result<Report, transfer::Error>,
    options: &Transfer,
    context: &Context,
    show: impl FnOnce(&Report) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let report = match &outcome {
        Ok(report) => Some(report),
        Err(error) => error.report(),
    };
    let mut details = Vec::new();
    if let Some(report) = report {
        // The failure lists the artifacts of a failed run for people; scripts read the report.
        if outcome.is_ok() || context.json() {
            show(report)?;
        }
        if let Some(path) = &options.report {
            save(report, path)?;
        }
        details = details_of(report);
    }
    let report = outcome.map_err(|error| CommandError::from(error).details(details.clone()))?;
    if report.failed() {
        let failed = report.artifacts.iter().filter(|outcome| outcome.state == ArtifactState::Failed).count();
        let all = report.artifacts.len();
        return Err(CommandError::from(Mistake::Partial { failed, all }).details(details));
    }
    Ok(())
}

/// The failure of a run, with every artifact that failed in it.
pub(crate) fn failure(error: transfer::Error) -> CommandError {
    let details = error.report().map(details_of).unwrap_or_default();
    CommandError::from(error).details(details)
}

/// A line for each artifact that failed, and then how many are done, failed and not tried.
fn details_of(report: &Report) -> Vec<String> {
    let mut details: Vec<_> = report.artifacts.iter().filter_map(detail).collect();
    if !report.artifacts.is_empty() {
        details.push(totals(report));
    }
    details
}

/// `3 done, 1 failed, 2 not tried`
fn totals(report: &Report) -> String {
    let of =
        |states: &[ArtifactState]| report.artifacts.iter().filter(|outcome| states.contains(&outcome.state)).count();
    let (done, failed) = (of(&[ArtifactState::Done, ArtifactState::AlreadyThere]), of(&[ArtifactState::Failed]));
    format!("{done} done, {failed} failed, {} not tried", of(&[ArtifactState::NotReached]))
}

/// Which artifact failed, where, and why, on one line.
fn detail(outcome: &Outcome) -> Option<String> {
    let reason = outcome.reason.as_ref()?;
    Some(format!("{} ({}): {} [{}]", outcome.reference, reason.side, reason.message, reason.token))
}

/// Checks before a run that its report can be written, so that a run of hours does not fail at its very end.
pub(crate) fn check(options: &Transfer) -> Result<(), CommandError> {
    if let Some(path) = &options.report {
        ReportFile::check(path)?;
    }
    Ok(())
}

/// Writes the report as JSON, and beside it the failed artifacts as a list for `-f`.
fn save(report: &Report, path: &Path) -> Result<(), CommandError> {
    let mut list = "# Artifacts to try again, for `-f` of the same command.\n".to_owned();
    for reference in report.retry() {
        let _ = writeln!(list, "{reference}");
    }
    Ok(ReportFile::check(path)?.save(&json::pretty(report)?, &list)?)
}

/// The artifacts in a table, each with its size and `words` for its state.
pub(crate) fn artifacts(report: &Report, words: impl Fn(ArtifactState) -> &'static str) -> String {
    let to_target = report.artifacts.iter().any(|outcome| outcome.target.is_some());
    let columns = [
        Column::Left(if to_target { "TARGET" } else { "ARTIFACT" }),
        Column::Left("DIGEST"),
        Column::Right("SIZE"),
        Column::Right("ATTACHED"),
        Column::Left("STATE"),
    ];
    let row = |outcome: &Outcome| {
        let name = outcome.target.as_ref().unwrap_or(&outcome.reference);
        let digest = outcome.rewritten.or(outcome.digest).map_or_else(|| "-".to_owned(), |digest| short(&digest));
        let known = outcome.digest.is_some();
        let [size, attached] =
            if known { [size(outcome.bytes), outcome.attached.to_string()] } else { ["-".into(), "-".into()] };
        vec![name.to_string(), digest, size, attached, words(outcome.state).to_owned()]
    };
    named_table(&columns, report.artifacts.iter().map(row))
}

/// A state in words.
pub(crate) const fn state(state: ArtifactState) -> &'static str {
    match state {
        ArtifactState::Done => "done",
        ArtifactState::AlreadyThere => "already there",
        ArtifactState::Failed => "failed",
        ArtifactState::NotReached => "not tried",
    }
}

/// The table of artifacts, and the totals.
pub(crate) fn text(report: &Report) -> String {
    let mut text = artifacts(report, state);
    let (moved, reused) = (size(report.bytes_moved), size(report.bytes_reused));
    let artifacts = count(report.artifacts.len(), "artifact");
    let _ = writeln!(text, "\n{artifacts}: {moved} moved, {reused} in place already");
    let _ = writeln!(text, "{}", totals(report));
    if let Some(Needs { blobs, bytes, .. }) = &report.left_out {
        let _ = writeln!(text, "{} ({}) left out: the receiver has them", count(*blobs, "blob"), size(*bytes));
    }
    if let (Some(path), Some(bytes)) = (&report.output, report.output_bytes) {
        let _ = writeln!(text, "{}: {}", path.display(), size(bytes));
        for path in &report.recovery {
            let _ = writeln!(text, "{}: recovery data", path.display());
        }
    }
    if let Some(id) = &report.bundle {
        text.push_str(&digests(Some(*id), None));
    }
    text
}
