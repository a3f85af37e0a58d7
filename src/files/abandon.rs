//! Removes what runs that did not end have left of an output.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    error::{Error, Result},
    lock,
    name::{folder_of, is_unfinished},
    open::{self, Access},
};

/// Removes the unfinished files of `goal`, a file or a set of volumes, or of the folder `goal`. Returns their paths.
///
/// # Errors
/// A run is writing to one of them, or one was not left by a run of this user: nothing was removed then.
pub fn abandon(goal: &Path) -> Result<Vec<PathBuf>> {
    let unfinished = unfinished(goal)?;
    let mut held = Vec::new();
    for path in &unfinished {
        let file = open::own(path, Access::Usual)?;
        lock::hold(&file, path)?;
        held.push(file);
    }
    for path in &unfinished {
        fs::remove_file(path).map_err(Error::write(path))?;
    }
    Ok(unfinished)
}

fn unfinished(goal: &Path) -> Result<Vec<PathBuf>> {
    let (folder, stem) = if goal.is_dir() {
        (goal, None)
    } else {
        let name = goal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The volumes of `a.tar` are `a.vol001.tar` and so on, those of `a.pack` likewise, and its recovery data is named alike.
        let stem = [".tar", ".pack"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        (folder_of(goal), Some(stem.to_owned()))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Copies begin the name with a dot.
        let rest = stem.as_ref().map_or(Some(""), |stem| name.trim_start_matches('.').strip_prefix(stem.as_str()));
        let belongs = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if belongs && is_unfinished(&name) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::partial::PartialFile;

    #[test]
    fn what_is_unfinished_goes_and_what_is_finished_or_belongs_to_others_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let gone = [
            ".a.tar.airlift-0123",
            ".a.tar.airlift-0123-parts",
            "a.tar.partial",
            "a.tar.partial.journal",
            "a.vol002.tar.partial",
        ];
        let stays = ["a.tar", "a.vol001.tar", "ab.tar.partial"];
        for name in gone.iter().chain(&stays) {
            fs::write(at(name), name).unwrap();
        }
        assert_eq!(abandon(&at("a.tar")).unwrap(), gone.map(at));
        assert!(gone.iter().all(|name| !at(name).exists()) && stays.iter().all(|name| at(name).exists()));
        assert_eq!(abandon(folder.path()).unwrap(), [at("ab.tar.partial")]);
    }

    #[test]
    fn what_a_run_writes_to_stays_with_everything_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let goal = folder.path().join("a.tar");
        let other = folder.path().join("a.tar.partial.journal");
        let writing = PartialFile::open(&goal, false).unwrap();
        fs::write(&other, "x").unwrap();
        assert!(matches!(abandon(&goal), Err(Error::Busy { .. })));
        assert!(other.exists());
        drop(writing);
        assert_eq!(abandon(&goal).unwrap().len(), 2);
    }
}
