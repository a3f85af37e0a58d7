//! An export that is checked before its bundle gets its name.

use std::path::Path;

use super::{
    admit::note,
    error::CheckError,
    run::{CheckSettings, check},
};
use crate::{
    content::Origins,
    files::{name, rename},
    oci::Reference,
    progress::Progress,
    storage::{Location, Settings},
    transfer::{
        Opened, Places, Report,
        export::{self, Destination, Request},
    },
};

/// What follows the name of a bundle that was not checked yet.
const UNCHECKED: &str = ".unchecked";

/// Exports to the file `path`, and lets it have this name once no command refuses an artifact of it. Until then it is called
/// `NAME.unchecked`. With [`Request::continue_on_errors`] what was refused is left out.
///
/// # Errors
/// Those of an export; the checks cannot be made; artifacts were refused, of which the bundle is removed then.
pub async fn export(
    origins: &dyn Origins,
    request: &Request,
    (path, overwrite): (&Path, bool),
    settings: &CheckSettings,
    progress: &Progress,
) -> Result<Report, CheckError> {
    let to = |path: &Path, overwrite| Destination::File { path: path.to_owned(), overwrite };
    // It is there already, or something else is; a checked bundle got its name in the end.
    if !overwrite && path.symlink_metadata().is_ok() {
        return Ok(export::run(origins, request, to(path, false), progress).await?);
    }
    let unchecked = name::with_suffix(path, UNCHECKED);
    let mut report = export::run(origins, request, to(&unchecked, true), progress).await?;
    let place = Location::Path(unchecked.clone());
    let opened = Opened::open(&place, &Settings::default()).await?;
    let (refusals, all) = check(opened.reader(), settings, |_| true).await?;
    if refusals.is_empty() {
        publish(&unchecked, path, overwrite)?;
        report.output = Some(path.to_owned());
        return Ok(report);
    }
    let roots = opened.reader().index().roots().iter().map(|root| root.reference.clone());
    let rest: Vec<Reference> = roots.filter(|root| !refusals.iter().any(|one| one.artifact == *root)).collect();
    if !request.continue_on_errors || rest.is_empty() {
        remove(&unchecked)?;
        return Err(CheckError::Refused { refusals, all });
    }
    let places = Places::open(&[place], None, &Settings::default(), progress).await?;
    let request = Request { artifacts: rest, ..request.clone() };
    let mut rest = export::run(&places, &request, to(path, overwrite), progress).await?;
    rest.artifacts.extend(report.artifacts.into_iter().filter(|one| one.reason.is_some()));
    note(&mut rest, &refusals);
    remove(&unchecked)?;
    Ok(rest)
}

fn publish(from: &Path, to: &Path, overwrite: bool) -> Result<(), CheckError> {
    let failed = |source| CheckError::Publish { path: to.to_owned(), source };
    rename::rename(from, to, overwrite).and_then(|()| rename::sync_folder(name::folder_of(to))).map_err(failed)
}

fn remove(path: &Path) -> Result<(), CheckError> {
    rename::remove(path).map_err(|source| CheckError::Publish { path: path.to_owned(), source })
}
