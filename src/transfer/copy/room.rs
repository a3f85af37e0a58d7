//! Whether a set fits into a folder, each file of it and all together, before the first of them is begun.

use std::path::Path;

use super::error::Error;
use crate::{
    bundle,
    files::{self, disk, name},
};

/// Checks it for `files`, each a name and its bytes.
pub(super) fn check_room<'a>(to: &Path, files: impl Iterator<Item = (&'a str, u64)>) -> Result<(), Error> {
    if !to.is_dir() {
        return Err(Error::NoFolder { path: to.to_owned() });
    }
    let limit = disk::largest_file(to).map_err(bundle::Error::read(to))?;
    let mut needed = 0;
    for (name, size) in files {
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(files::Error::FileLimit { path: to.join(name), needed: size, limit }.into());
        }
        let partial = name::partial(&to.join(name));
        let there = [to.join(name), partial]
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|meta| meta.len())
            .max();
        needed += size.saturating_sub(there.unwrap_or(0));
    }
    let free = disk::free(to).map_err(bundle::Error::read(to))?;
    if needed > free {
        return Err(files::Error::Space { path: to.to_owned(), needed, free }.into());
    }
    Ok(())
}
