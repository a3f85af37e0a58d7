//! The review of a bundle that is open, with what changed since another one.

use super::{
    super::{companions::CompanionKind, error::Error, inspect::Inspection, opened::Opened},
    diff::named,
};
use crate::{
    progress::Progress,
    review::{Changes, Review},
    storage::{Location, Settings},
};

/// What a reviewer should know of `bundle`, whose inspection is `found`.
///
/// # Errors
/// What it is compared with cannot be read.
pub async fn review(
    bundle: &Opened,
    found: &Inspection,
    against: Option<&Location>,
    settings: &Settings,
) -> Result<Review, Error> {
    let reader = bundle.reader();
    let path = bundle.path();
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let mut review = Review::of(&name, reader.contents(), reader.facts(), reader.size())?;
    for artifact in &mut review.artifacts {
        let known = found.artifacts.iter().find(|one| one.reference == artifact.reference);
        if let Some(known) = known.filter(|_| artifact.platforms.is_empty()) {
            artifact.platforms = known.platforms.iter().map(ToString::to_string).collect();
        }
    }
    review.beside = found.companions.iter().map(|one| format!("{}: {}", what(one.kind), one.name)).collect();
    if let Some(against) = against {
        let before = named(against, settings, &Progress::silent()).await?;
        review.compare(&Changes { name: against.to_string(), before });
    }
    Ok(review)
}

const fn what(kind: CompanionKind) -> &'static str {
    match kind {
        CompanionKind::Recovery => "recovery data",
        CompanionKind::Statement => "statement",
        CompanionKind::Signature => "signature of the statement",
    }
}
