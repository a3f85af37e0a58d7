//! Making and reading plans.

use super::{
    super::{
        documents,
        export::{self, Request},
        report::{ArtifactState, Report},
    },
    Error, PlanFile, PlannedList,
    document::LIMIT,
};
use crate::{
    bundle::volume::Size,
    content::Origins,
    progress::{Event, Phase, Progress},
    storage::{self, Location, Settings},
};

/// A plan that is where it was to be.
#[derive(Debug)]
pub struct MadePlan {
    /// The plan.
    pub plan: PlanFile,
    /// What was found out about the artifacts.
    pub report: Report,
    /// Whether it was there before: then no registry was asked.
    pub already_there: bool,
}

/// The plan at `place`.
///
/// # Errors
/// There is none, or it cannot be used.
pub async fn open(place: &Location, settings: &Settings) -> Result<PlanFile, Error> {
    let what = place.to_string();
    let text = documents::there(place, LIMIT, settings).await?;
    let text = text.ok_or_else(|| storage::Error::NotFound { what: what.clone() })?;
    PlanFile::parse(&text, &what)
}

/// Resolves what `request` asks for, cuts it into volumes of at most `size` bytes, and writes the plan to `place`.
///
/// A plan of the same list that is there already stays, also where tags have moved since: digests rule.
///
/// # Errors
/// Artifacts fail, or something else is at `place`, which `overwrite` replaces.
pub async fn make(
    origins: &dyn Origins,
    request: &Request,
    size: Size,
    (place, overwrite): (&Location, bool),
    settings: &Settings,
    progress: &Progress,
) -> Result<MadePlan, Error> {
    if !overwrite && let Some(text) = documents::there(place, LIMIT, settings).await? {
        let plan = PlanFile::parse(&text, &place.to_string())?;
        plan.check_list(&PlannedList::of(request), Some(size), &place.to_string())?;
        let report = known(&plan);
        return Ok(MadePlan { plan, report, already_there: true });
    }
    let resolved = if request.continue_on_errors {
        export::plan(origins, request, progress).await?
    } else {
        export::resolved(origins, request, progress).await?
    };
    let (contents, mut report) = resolved.into_contents();
    let plan = PlanFile::new(request, contents, size)?;
    progress.tell(Event::Phase(Phase::Publishing));
    documents::put(place, plan.to_json()?.into(), overwrite, settings).await?;
    for outcome in report.artifacts.iter_mut().filter(|one| one.state == ArtifactState::NotReached) {
        outcome.state = ArtifactState::Done;
    }
    report.output = Some(place.to_string().into());
    report.bundle = Some(plan.contents().index.id());
    Ok(MadePlan { plan, report, already_there: false })
}

/// The artifacts of a plan that is there.
fn known(plan: &PlanFile) -> Report {
    let mut report = Report::of_roots(&plan.contents().index);
    for outcome in &mut report.artifacts {
        outcome.state = ArtifactState::AlreadyThere;
    }
    report
}
