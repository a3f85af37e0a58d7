//! What is complete already: the same command after success, or after a kill between the last rename and the exit, ends
//! well. Other content in the place is refused and stays untouched.

use std::{fs, path::Path};

use super::{
    error::Error,
    export::{destination::Destination, request::Request},
    plan::Plan,
    report::{ArtifactState, Report},
    send,
    verify::verify,
};
use crate::{
    bundle::{self, Contents, Finished, Layout, Reader, output::Output},
    files::{self, blocking::off_reactor, name, open::check_goal},
    progress::Progress,
    storage::{self, Object, Stat},
};

/// Checks, before the first request for an artifact, that nothing is in the way that cannot be what `request` asks for:
/// asking about fifty artifacts takes its time.
pub(super) async fn check(to: &Destination, request: &Request) -> Result<(), Error> {
    match to {
        Destination::File { path, overwrite } => {
            check_goal(path, true)?;
            let folder = name::folder_of(path);
            fs::metadata(folder).map_err(bundle::Error::write(folder))?;
            if !overwrite && is_there(path)? && !may_be(path, request).await {
                return Err(files::Error::Exists { path: path.clone() }.into());
            }
        }
        Destination::Volumes(goal) if goal.only.is_none() && !goal.overwrite => {
            let output = Output::set(goal.clone());
            if is_there(&output.named())? && !may_be(&output.volume(1), request).await {
                return Err(files::Error::Exists { path: output.named() }.into());
            }
        }
        Destination::Object { object, overwrite: false }
            if there(&**object).await?.is_some_and(|stat| !send::is_bundle(&stat)) =>
        {
            return Err(storage::Error::Exists { what: object.location().to_string() }.into());
        }
        Destination::Set(prefix) if prefix.only.is_none() => prefix.check().await?,
        _ => {}
    }
    Ok(())
}

pub(super) fn is_there(path: &Path) -> Result<bool, bundle::Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(bundle::Error::write(path)(error)),
    }
}

/// Whether the file at `path` has artifacts of these names, all of them unless some may fail.
async fn may_be(path: &Path, request: &Request) -> bool {
    let Ok(reader) = Reader::open(path).await else { return false };
    let has = |reference| reader.index().find(reference).is_some();
    reader.layout().is_some() && (request.continue_on_errors || request.artifacts.iter().all(has))
}

/// The bundle or the set of `contents`, if the destination holds it already: its size and its head are as planned, and every
/// byte was hashed.
///
/// # Errors
/// Something else is there.
pub(super) async fn complete(
    to: &Destination,
    contents: &Contents,
    jobs: usize,
    progress: &Progress,
) -> Result<Option<Finished>, Error> {
    let output = match to {
        Destination::File { path, overwrite: false } => Output::file(path, false),
        Destination::Volumes(goal) if !goal.overwrite => Output::set(goal.clone()),
        _ => return Ok(None),
    };
    let path = output.named();
    if !is_there(&path)? {
        return Ok(None);
    }
    let contents = contents.clone();
    let (found, output) = off_reactor(move || (output.alike(contents), output)).await;
    let exists = || Error::from(files::Error::Exists { path: path.clone() });
    let (reader, layout) = found?.ok_or_else(exists)?;
    if !verify(&reader, jobs, progress).await?.is_sound() {
        return Err(exists());
    }
    output.tidy();
    Ok(Some(Finished { path, bytes: reader.size(), id: layout.id() }))
}

/// Whether an object is the bundle of `layout`, by what its writer said of it.
///
/// # Errors
/// Something else is there.
pub(super) async fn object(object: &dyn Object, layout: &Layout) -> Result<bool, storage::Error> {
    match there(object).await? {
        None => Ok(false),
        Some(stat) if send::is_same(&stat, layout) => Ok(true),
        Some(_) => Err(storage::Error::Exists { what: object.location().to_string() }),
    }
}

/// What is in the place of an object, if anything is.
pub(super) async fn there(object: &dyn Object) -> Result<Option<Stat>, storage::Error> {
    match object.stat().await {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The report of a run that found everything in its place.
pub(super) fn report(plan: Plan, finished: Finished) -> Report {
    let (_, bytes) = plan.totals();
    let mut report = plan.into_report();
    for outcome in report.artifacts.iter_mut().filter(|outcome| outcome.state == ArtifactState::NotReached) {
        outcome.state = ArtifactState::AlreadyThere;
    }
    report.bytes_reused = bytes;
    report.output_bytes = Some(finished.bytes);
    report.bundle = Some(finished.id);
    report.output = Some(finished.path);
    report
}
