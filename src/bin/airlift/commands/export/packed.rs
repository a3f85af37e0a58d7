//! `export --pack`: the export, packed, and recovery data of the packed file.

use std::path::Path;

use airlift::{
    content::Origins,
    pack::PackRequest,
    progress::Progress,
    transfer::{
        self, Report,
        export::{Destination, Request},
        export_packed, protect,
    },
};

use crate::{args::export::Args, failure::CommandError, mistake::Mistake};

/// Refuses destinations that a packed file cannot be written to.
pub(super) fn check(args: &Args, to: &Destination) -> Result<(), CommandError> {
    let is_file = matches!(to, Destination::File { .. }) && args.checks.settings().is_none();
    if args.pack && !is_file { Err(Mistake::PackElsewhere.into()) } else { Ok(()) }
}

pub(super) async fn export(
    origins: &dyn Origins,
    request: &Request,
    (path, overwrite): (&Path, bool),
    args: &Args,
    progress: &Progress,
) -> Result<Report, transfer::Error> {
    let goal = PackRequest { overwrite, ..PackRequest::new(None, args.transfer.jobs.count()) };
    let mut report = export_packed::export(origins, request, (path, &goal), progress).await?;
    if let Some(percent) = args.recovery {
        let created = protect::protect(&[path], percent, overwrite, progress).await?;
        report.recovery = created.files.iter().map(|file| path.with_file_name(&file.name)).collect();
    }
    Ok(report)
}
