//! `--update`: the list that a search brings up to date.

use std::{fs, io::Write as _, path::Path};

use airlift::find::{Inventory, UpdatedList, update};
use serde::Serialize;

use crate::{artifacts, context::Context, failure::CommandError, mistake::Mistake};

/// What `--update` prints.
#[derive(Serialize)]
struct Updated<'a> {
    file: &'a Path,
    appeared: &'a [String],
    went: &'a [String],
}

/// Writes the list anew beside itself, and then in its place.
pub(super) fn bring_up_to_date(file: &Path, inventory: &Inventory, context: &Context) -> Result<(), CommandError> {
    let is_new = !file.exists();
    let old = if is_new { String::new() } else { artifacts::read(file)? };
    let UpdatedList { text, appeared, went, .. } = update(&old, inventory);
    let failed = |source| Mistake::Write { path: file.to_owned(), source };
    if is_new {
        fs::write(file, &text).map_err(failed)?;
    } else if text != old {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        new.write_all(text.as_bytes()).map_err(failed)?;
        let permissions = fs::metadata(file).map_err(failed)?.permissions();
        fs::set_permissions(new.path(), permissions).map_err(failed)?;
        new.as_file().sync_all().map_err(failed)?;
        new.persist(file).map_err(|error| failed(error.error))?;
    }
    context.answer(&Updated { file, appeared: &appeared, went: &went }, |updated| {
        let lines = updated.appeared.iter().map(|name| format!("+ {name}\n"));
        lines.chain(updated.went.iter().map(|name| format!("- {name}\n"))).collect()
    })
}
