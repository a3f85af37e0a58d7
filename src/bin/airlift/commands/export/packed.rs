//! `export --pack`: the export, packed, and recovery data of the packed file.

use std::path::{Path, PathBuf};

use airlift::{
    bundle::volume::Size,
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

/// Refuses what a packed file cannot be: elsewhere, checked as it is written, or one volume of several.
pub(super) fn check(args: &Args, to: &Destination) -> Result<(), CommandError> {
    let is_file = matches!(to, Destination::File { .. });
    let is_plain = args.checks.settings().is_none() && args.only_volume.is_none();
    if args.pack && !(is_file && is_plain) { Err(Mistake::PackElsewhere.into()) } else { Ok(()) }
}

/// What is packed to `output`, in volumes of at most `volume`. A folder gives volumes the name `bundle`.
pub(crate) fn goal(output: &Path, volume: Option<Size>, overwrite: bool, jobs: usize) -> PackRequest {
    let is_folder = output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
    let output = if volume.is_some() && is_folder { output.join("bundle.pack") } else { output.to_owned() };
    PackRequest { overwrite, volume: volume.map(|size| size.0), ..PackRequest::new(Some(output), jobs) }
}

/// Exports to the packed file `goal`, with recovery data if it is asked for.
pub(super) async fn export(
    origins: &dyn Origins,
    request: &Request,
    goal: &PackRequest,
    args: &Args,
    progress: &Progress,
) -> Result<Report, transfer::Error> {
    let (mut report, volumes) = export_packed::export(origins, request, goal, progress).await?;
    let Some(percent) = args.recovery else { return Ok(report) };
    let path = goal.path().unwrap_or_default();
    let files: Vec<&Path> =
        if volumes.is_empty() { vec![&path] } else { volumes.iter().map(PathBuf::as_path).collect() };
    let name = goal.output.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
    let created =
        protect::protect_as(&files, percent, goal.volume.map(|most| (name, most)), goal.overwrite, progress).await?;
    report.recovery = created.files.iter().map(|file| path.with_file_name(&file.name)).collect();
    Ok(report)
}
