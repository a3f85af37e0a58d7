//! Where segments of layers wait that are cut over volumes, until the other segments arrive.

use std::path::{Path, PathBuf};

use airlift::{files, oci::Digest};

/// The folder that was asked for, or the one in the state.
pub(super) fn root(asked: Option<&Path>) -> Result<PathBuf, files::Error> {
    match asked {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(files::private::state_folder()?.join("spool")),
    }
}

/// The folder of one set in it.
pub(super) fn of(root: &Path, set: Option<Digest>) -> PathBuf {
    root.join(set.map_or_else(|| "none".to_owned(), |set| set.hex()))
}
