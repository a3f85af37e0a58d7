//! The review of a bundle that is open, with what changed since another one.

use super::{
    super::{companions::CompanionKind, error::Error, inspect::Inspection, opened::Opened, vouch},
    diff::named,
};
use crate::{
    oci::PeerText,
    progress::Progress,
    review::{Review, ReviewedChanges},
    storage::{Location, Settings},
    trust::Statement,
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
    review.beside = stated(bundle).await;
    review.beside.extend(found.companions.iter().map(|one| format!("{}: {}", what(one.kind), one.name)));
    if let Some(against) = against {
        let before = named(against, settings, &Progress::silent()).await?;
        review.compare(&ReviewedChanges { name: against.to_string(), before });
    }
    Ok(review)
}

/// What the statement beside a bundle says; its signatures are not checked here.
async fn stated(bundle: &Opened) -> Vec<String> {
    let evidence = vouch::evidence(bundle).await.unwrap_or_default();
    let statement = evidence.statement.and_then(|text| Statement::parse(&text).ok());
    let at_hand = vouch::at_hand(bundle.reader());
    let Some(statement) = statement.filter(|one| at_hand.is_some_and(|bundle| bundle.is(&one.bundle))) else {
        return Vec::new();
    };
    let stream = statement.stream.map(|stream| {
        let sequence = statement.sequence.map(|sequence| format!(", sequence {sequence}")).unwrap_or_default();
        format!("stream {}{sequence}", PeerText(&stream))
    });
    let members = [
        ("authorised by", statement.authorised_by),
        ("from", statement.from),
        ("to", statement.to),
        ("reason", statement.reason),
        ("marking", statement.marking),
        ("expires", statement.expires.map(|time| time.to_string())),
    ];
    let created = format!("stated on {}", statement.created);
    let named = members.into_iter().filter_map(|(name, text)| Some(format!("{name} {}", PeerText(&text?))));
    [created].into_iter().chain(stream).chain(named).collect()
}

const fn what(kind: CompanionKind) -> &'static str {
    match kind {
        CompanionKind::Recovery => "recovery data",
        CompanionKind::Statement => "statement",
        CompanionKind::Signature => "signature of the statement",
    }
}
