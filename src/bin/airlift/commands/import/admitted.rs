//! The import of what a trusted sender sent and the checks let through.

use airlift::{
    check::{self, Checked},
    content::Targets,
    progress::{Event, Progress},
    transfer::{
        self, Choice, Opened, Report,
        admission::Admission,
        import::{self, Request},
    },
};

use crate::{
    args::import::Args,
    commands::{checked, guarded::refusal},
    failure::CommandError,
};

/// Where an import goes, and how.
pub(super) struct Course<'a> {
    pub(super) targets: &'a dyn Targets,
    pub(super) request: &'a Request,
    pub(super) place: &'a str,
    pub(super) progress: &'a Progress,
}

/// Imports what `choice` takes of the bundles; all of them if it is `None`. The inner result is that of the import.
pub(super) async fn import(
    args: &Args,
    bundles: &[Opened],
    choice: Option<Choice>,
    mut admission: Admission,
    course: Course<'_>,
) -> Result<Result<Report, transfer::Error>, CommandError> {
    let Course { targets, request, place, progress } = course;
    let admitted = admission.admit(bundles, place).await.map_err(refusal)?;
    for warning in &admitted.warnings {
        progress.tell(Event::Warned(warning.clone()));
    }
    let go_on = args.transfer.continue_on_errors;
    let (choice, refusals) = match checked::admit(&args.checks, bundles, choice.as_ref(), go_on).await {
        Ok(Checked::Everything) => (Some(choice), Vec::new()),
        Ok(Checked::Some { rest, refusals }) => (rest.map(Some), refusals),
        Err(error) => {
            admission.conclude(&admitted, Err((&error, None)), place)?;
            return Err(checked::refused(error));
        }
    };
    let mut outcome = match choice {
        None => Ok(Report::default()),
        Some(None) => import::run(targets, bundles, request, progress).await,
        Some(Some(choice)) => choice.import(targets, bundles, request, progress).await,
    };
    if let Ok(report) = &mut outcome {
        check::note(report, &refusals);
        if let Some(receipt) = &mut report.receipt {
            admitted.name_positions(receipt);
        }
    }
    admission.conclude(&admitted, outcome.as_ref().map_err(|error| (error, error.report())), place)?;
    Ok(outcome)
}
