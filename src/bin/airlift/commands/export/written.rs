//! What an export writes, by its options.

use airlift::{
    content::Origins,
    progress::Progress,
    transfer::{
        self, Report,
        export::{self, Destination, Request},
        protect,
    },
};

use super::packed;
use crate::{args::export::Args, commands::checked, failure::CommandError};

/// Exports to `to`. The inner result is that of the export.
pub(super) async fn export(
    origins: &dyn Origins,
    request: &Request,
    to: Destination,
    args: &Args,
    progress: &Progress,
) -> Result<Result<Report, transfer::Error>, CommandError> {
    let checks = args.checks.settings();
    Ok(match (args.recovery, &to) {
        (_, Destination::File { path, overwrite }) if args.pack => {
            let path = if args.volume_size.is_some() { &args.output } else { path };
            let goal = packed::goal(path, args.volume_size, *overwrite, args.transfer.jobs.count());
            packed::export(origins, request, &goal, args, progress).await
        }
        (Some(percent), Destination::File { path, overwrite }) => {
            protect::export(origins, request, (path, *overwrite), percent, progress).await
        }
        (Some(percent), Destination::Volumes(goal)) => {
            protect::export_set(origins, request, goal.clone(), percent, progress).await
        }
        (None, Destination::File { path, overwrite }) => match &checks {
            Some(checks) => checked::export(origins, request, (path, *overwrite), checks, progress).await?,
            None => export::run(origins, request, to, progress).await,
        },
        _ => export::run(origins, request, to, progress).await,
    })
}
