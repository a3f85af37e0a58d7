//! Names of files that are not finished, and what belongs to them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What the name of a file ends in while one run writes it.
pub(crate) const PARTIAL: &str = ".partial";

/// What the name of an upload to a local file has in it.
pub(crate) const UPLOAD: &str = ".airlift-";

/// `path` with more behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where `goal` is while it is being written.
pub(crate) fn partial(goal: &Path) -> PathBuf {
    with_suffix(goal, PARTIAL)
}

/// Where the journal of the unfinished file `partial` is.
pub(crate) fn journal(partial: &Path) -> PathBuf {
    with_suffix(partial, ".journal")
}

/// The folder of `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether airlift gives such a name to a file that is not finished, or to what belongs to one.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.ends_with(PARTIAL) || name.contains(".partial.") || name.contains(UPLOAD)
}
