//! Export into a packed file: the bundle is written beside it, packed, and removed.

use std::path::{Path, PathBuf};

use super::{
    Error, Opened, Report, complete,
    export::{self, Destination, Request},
    verify::verify,
};
use crate::{
    bundle::{Finished, Layout, Reader},
    content::{Code, Fault as _, Origins},
    files::{self, name, rename::remove},
    pack::{self, PackRequest},
    progress::Progress,
    storage::{Location, Settings},
};

/// The bundle of an export that is not packed yet.
fn unpacked(path: &Path) -> PathBuf {
    name::with_suffix(&name::partial(path), ".bundle")
}

/// Exports to the packed file that `goal` says. Run again after a break it resumes, whatever it was at. Gives the volumes too,
/// where there are some.
///
/// # Errors
/// Those of an export, and of packing.
pub async fn export(
    origins: &dyn Origins,
    request: &Request,
    goal: &PackRequest,
    progress: &Progress,
) -> Result<(Report, Vec<PathBuf>), Error> {
    let path = goal.path().unwrap_or_default();
    let whole = unpacked(&path);
    if !goal.overwrite && path.exists() && !whole.exists() {
        match already(origins, request, &path, progress).await {
            // Volumes that are lost are made again.
            Err(error) if error.code() == Code::PackVolumeMissing => {}
            found => return found,
        }
    }
    let to = Destination::File { path: whole.clone(), overwrite: goal.overwrite };
    let mut report = export::run(origins, request, to, progress).await?;
    let packed = pack::pack(&Reader::open(&whole).await?, goal, progress).await?;
    remove(&whole).map_err(|source| Error::Io { what: "remove", path: whole.clone(), source })?;
    report.output = Some(path);
    report.output_bytes = Some(packed.packed);
    Ok((report, packed.volumes))
}

/// The report of a packed file that is there already, if it holds what would be exported.
async fn already(
    origins: &dyn Origins,
    request: &Request,
    path: &Path,
    progress: &Progress,
) -> Result<(Report, Vec<PathBuf>), Error> {
    let exists = || Error::from(files::Error::Exists { path: path.to_owned() });
    let settings = Settings::default();
    let opened = Opened::open(&Location::Path(path.to_owned()), &settings).await;
    let opened = opened.map_err(|error| if error.code() == Code::PackVolumeMissing { error } else { exists() })?;
    let plan = export::plan(origins, request, progress).await?;
    let layout = Layout::of(plan.contents())?;
    let same = opened.reader().layout().is_some_and(|found| found.begins_as(&layout));
    if !same || !verify(opened.reader(), request.jobs, progress).await?.is_sound() {
        return Err(exists());
    }
    let volumes = opened.pack_volumes().to_vec();
    let files = if volumes.is_empty() { vec![path.to_owned()] } else { volumes.clone() };
    let mut bytes = 0;
    for path in files {
        bytes += std::fs::metadata(&path).map_err(|source| Error::Io { what: "read", path, source })?.len();
    }
    Ok((complete::report(plan, Finished { path: path.to_owned(), bytes, id: layout.id() }), volumes))
}
