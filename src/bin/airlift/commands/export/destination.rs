//! Where an export goes: a file, a set of volumes, a storage, standard output.

use std::path::{Path, PathBuf};

use airlift::{
    bundle::Goal,
    storage::{self, Location},
    transfer::export::Destination,
};

use crate::{args::export::Args, artifacts, context::Context, failure::Failure, mistake::Mistake};

/// What `-o` and the options of volumes name together.
pub(super) fn of(args: &Args, context: &Context) -> Result<Destination, Failure> {
    let overwrite = args.overwrite;
    let place = artifacts::location(&args.output)?;
    if let Some(size) = args.volume_size {
        let Location::Path(path) = place else { return Err(Mistake::VolumesElsewhere { place }.into()) };
        let (folder, name) = set_name(&path);
        return Ok(Destination::Volumes(Goal { folder, name, size, only: args.only_volume, overwrite }));
    }
    Ok(match place {
        Location::Standard => Destination::Stdout,
        Location::Path(path) => Destination::File { path, overwrite },
        place => Destination::Object { object: storage::open(&place, &context.storage())?, overwrite },
    })
}

/// The folder and the name of a set: a folder gives its files the name `bundle`, and a name may end as a bundle's does.
fn set_name(path: &Path) -> (PathBuf, String) {
    let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().filter(|_| !is_folder).map(|name| name.to_string_lossy().into_owned());
    let folder = if is_folder { Some(path) } else { path.parent() };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = name.unwrap_or_else(|| "bundle".to_owned());
    (folder.to_owned(), name.strip_suffix(".tar").unwrap_or(&name).to_owned())
}
