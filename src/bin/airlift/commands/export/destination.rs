//! Where an export goes: a file, a set of volumes, a storage, standard output.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use airlift::{
    bundle::{Goal, volume::Size},
    storage::{self, Location},
    transfer::export::{Destination, Prefix},
};

use super::packed;
use crate::{args::export::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake};

/// What `-o` and the options of volumes name together.
pub(super) fn of(args: &Args, context: &Context) -> Result<Destination, CommandError> {
    let overwrite = args.overwrite;
    let place = artifacts::location(&args.output)?;
    if matches!(place, Location::Standard) && !args.transfer.dry_run && io::stdout().is_terminal() {
        return Err(Mistake::StreamToTerminal.into());
    }
    if args.pack
        && let Location::Path(path) = &place
    {
        let path = packed::goal(path, args.volume_size, overwrite, 1).path().unwrap_or_default();
        return Ok(Destination::File { path, overwrite });
    }
    if let Some(size) = args.volume_size {
        return set(&args.output, size, args.only_volume, overwrite, context);
    }
    Ok(match place {
        Location::Standard => Destination::Stdout,
        Location::Path(path) => Destination::File { path, overwrite },
        place => Destination::Object { object: storage::open(&place, &context.storage())?, overwrite },
    })
}

/// The set of volumes that `output` names.
pub(crate) fn set(
    output: &Path,
    size: Size,
    only: Option<u32>,
    overwrite: bool,
    context: &Context,
) -> Result<Destination, CommandError> {
    Ok(match artifacts::location(output)? {
        Location::Standard => return Err(Mistake::VolumesInOrder.into()),
        Location::Path(path) => {
            let (folder, name) = set_name(&path);
            let mut goal = Goal::new(folder, name, size);
            (goal.only, goal.overwrite) = (only, overwrite);
            Destination::Volumes(goal)
        }
        place => {
            let (folder, name) = stored_name(place, output);
            let settings = context.storage();
            Destination::Set(Prefix { folder, name, size, only, overwrite, settings }.into())
        }
    })
}

/// The folder and the name of a set: a folder gives its files the name `bundle`, and a name may end as a bundle's does.
fn set_name(path: &Path) -> (PathBuf, String) {
    let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().filter(|_| !is_folder).map(|name| name.to_string_lossy().into_owned());
    let folder = if is_folder { Some(path) } else { path.parent() };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    (folder.to_owned(), without_end(name))
}

/// The same in a storage, where nothing but a slash says that a place is a folder.
fn stored_name(place: Location, text: &Path) -> (Location, String) {
    let text = text.to_string_lossy();
    let is_folder = text.split('?').next().is_some_and(|address| address.ends_with('/'));
    match place.split().filter(|_| !is_folder) {
        Some((folder, name)) => (folder, without_end(Some(name))),
        None => (place, without_end(None)),
    }
}

fn without_end(name: Option<String>) -> String {
    let name = name.unwrap_or_else(|| "bundle".to_owned());
    name.strip_suffix(".tar").unwrap_or(&name).to_owned()
}
