//! `--check-with`: artifacts are held out to commands before anything is published.

use std::path::Path;

use airlift::{
    check::{self, CheckError, CheckSettings, Checked},
    content::Origins,
    progress::Progress,
    transfer::{self, Choice, Opened, Report, export::Request},
};

use crate::{args::Checks, failure::CommandError};

/// What the commands leave of the bundles; with `go_on` the rest may be imported.
pub(crate) async fn admit(
    checks: &Checks,
    bundles: &[Opened],
    choice: Option<&Choice>,
    go_on: bool,
) -> Result<Checked, CheckError> {
    match checks.settings() {
        None => Ok(Checked::Everything),
        Some(settings) => check::admit(bundles, choice, &settings, go_on).await,
    }
}

/// Exports to a file that is checked before it gets its name. The inner result is that of the export.
pub(crate) async fn export(
    origins: &dyn Origins,
    request: &Request,
    to: (&Path, bool),
    settings: &CheckSettings,
    progress: &Progress,
) -> Result<Result<Report, transfer::Error>, CommandError> {
    match check::export(origins, request, to, settings, progress).await {
        Ok(report) => Ok(Ok(report)),
        Err(CheckError::Transfer(error)) => Ok(Err(error)),
        Err(error) => Err(refused(error)),
    }
}

/// The failure, with a line for each artifact that was refused.
pub(crate) fn refused(error: CheckError) -> CommandError {
    let details = match &error {
        CheckError::Refused { refusals, .. } => refusals.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    CommandError::from(error).details(details)
}
