//! What `--trust`, `--allow-older` and `--record` add to a command.

use airlift::{
    files::private::state_folder,
    oci::Digest,
    pipeline::who,
    storage::Location,
    transfer::{
        Opened,
        admission::Admission,
        legs::LegRecord,
        vouch::{self, ImportGuard, VouchError},
    },
    trust::{
        TrustFile,
        record::{Leg, RecordEntry, RecordedBundle},
    },
};

use crate::{
    args::{RecordTo, TrustArgs},
    context::Context,
    failure::CommandError,
    output::trust,
};

/// What a run that admits bundles asks, by its options.
pub(crate) fn admission(args: &TrustArgs) -> Result<Admission, CommandError> {
    let state = args.state.clone().map_or_else(state_folder, Ok);
    let guard = match &args.trust {
        None => None,
        Some(path) => {
            let trust = TrustFile::open(path)?;
            let state = args.state.clone().map_or_else(state_folder, Ok)?;
            Some(ImportGuard::new(trust, &state, args.allow_older.is_some())?)
        }
    };
    let state = state.ok();
    let record = LegRecord::new(args.record.record.clone(), state.as_deref(), guard.is_some(), who());
    Ok(Admission { guard, record, reason: args.allow_older.clone(), state })
}

/// Where a leg that admits nothing is recorded. `begin`: it is signed, which begins the record of the state folder.
pub(crate) fn record(args: &RecordTo, begin: bool) -> LegRecord {
    LegRecord::new(args.record.clone(), state_folder().ok().as_deref(), begin, who())
}

/// Adds the line of a leg whose bundle is at `at` now. `fill` completes it.
pub(crate) async fn write(
    record: &LegRecord,
    (leg, result): (Leg, &str),
    (at, known): (&Location, Option<Digest>),
    context: &Context,
    fill: impl FnOnce(&mut RecordEntry),
) -> Result<(), CommandError> {
    if !record.is_kept() {
        return Ok(());
    }
    // There is nothing to say of a file that is not a bundle.
    let opened = if known.is_some() { Opened::survey(at, &context.storage()).await.ok() } else { None };
    let bundle = opened.and_then(|(opened, _)| vouch::at_hand(opened.reader()));
    Ok(record.append(leg, result, |entry| {
        entry.bundle = bundle.map(|found| RecordedBundle { id: found.id, seal: found.seal });
        fill(entry);
    })?)
}

/// The failure, with a line for each finding.
pub(crate) fn refusal(error: VouchError) -> CommandError {
    let details = match &error {
        VouchError::Refused { findings, .. } => trust::lines(findings),
        _ => Vec::new(),
    };
    CommandError::from(error).details(details)
}
