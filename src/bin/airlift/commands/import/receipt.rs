//! The file of `--receipt`.

use airlift::{
    files::small::ReportFile,
    transfer::{self, Report},
};

use crate::{context::Context, failure::CommandError};

/// Writes the receipt of a run, also of one that failed, and prints its line.
pub(super) fn save(
    file: Option<&ReportFile>,
    outcome: &Result<Report, transfer::Error>,
    context: &Context,
) -> Result<(), CommandError> {
    let report = match outcome {
        Ok(report) => Some(report),
        Err(error) => error.report(),
    };
    if let (Some(file), Some(receipt)) = (file, report.and_then(|report| report.receipt.as_ref())) {
        file.save_alone(&receipt.to_json())?;
        context.status().say(&receipt.line());
    }
    Ok(())
}
