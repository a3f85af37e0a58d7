//! The line that a run adds to the transfer record.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    files::private,
    trust::record::{self, Leg, RecordEntry, RecordError},
};

/// The record in the state folder.
pub const FILE: &str = "record.jsonl";

/// Where the lines of a run go, and whether the run may go on without them.
#[derive(Clone, Debug)]
pub struct LegRecord {
    path: Option<PathBuf>,
    required: bool,
    /// The state folder, where it may have to be made first.
    folder: Option<PathBuf>,
    who: String,
}

impl LegRecord {
    /// The record `path` that a person named, else the one in the folder `state`. There it is begun if `begin`, and
    /// otherwise added to if there is one. `who` is the account and the machine.
    pub fn new(path: Option<PathBuf>, state: Option<&Path>, begin: bool, who: String) -> Self {
        let usual = state.map(|state| state.join(FILE));
        let required = path.is_some() || begin;
        let folder = state.filter(|_| begin && path.is_none()).map(Path::to_owned);
        Self { path: path.or_else(|| usual.filter(|usual| begin || usual.exists())), required, folder, who }
    }

    /// Whether there is a record.
    pub const fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Checks that lines can be added, before something is done that must be recorded.
    ///
    /// # Errors
    /// The record is damaged or cannot be written.
    pub fn check(&self) -> Result<(), RecordError> {
        match &self.path {
            Some(path) if self.required => {
                self.make_folder()?;
                record::check(path)
            }
            _ => Ok(()),
        }
    }

    fn make_folder(&self) -> Result<(), RecordError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let failed = |error| RecordError::Write { path: folder.clone(), source: io::Error::other(error) };
        private::create(folder).map_err(failed)
    }

    /// Adds a line, which `fill` completes. A record that nobody asked for stops no run.
    ///
    /// # Errors
    /// The record is damaged or cannot be written.
    pub fn append(&self, leg: Leg, result: &str, fill: impl FnOnce(&mut RecordEntry)) -> Result<(), RecordError> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut entry = RecordEntry::new(leg, result, &self.who, Timestamp::now());
        fill(&mut entry);
        self.make_folder()?;
        match record::append(path, entry) {
            Err(error) if !self.required => {
                tracing::warn!(record = %path.display(), %error, "this run is not in the transfer record");
                Ok(())
            }
            result => result.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lines(path: &Path) -> usize {
        fs::read_to_string(path).map_or(0, |text| text.lines().count())
    }

    #[test]
    fn the_record_of_the_state_is_begun_once_and_then_joined() {
        let state = tempfile::tempdir().unwrap();
        let usual = state.path().join(FILE);
        let new = |path: Option<&Path>, begin| {
            LegRecord::new(path.map(Path::to_owned), Some(state.path()), begin, "x".into())
        };
        new(None, false).append(Leg::Copy, "done", |_| ()).unwrap();
        assert!(!usual.exists());
        new(None, true).append(Leg::Export, "done", |_| ()).unwrap();
        new(None, false).append(Leg::Copy, "done", |_| ()).unwrap();
        assert_eq!(lines(&usual), 2);
        let other = state.path().join("other");
        new(Some(&other), false).append(Leg::Copy, "done", |_| ()).unwrap();
        assert_eq!((lines(&usual), lines(&other)), (2, 1));
    }

    #[test]
    fn only_a_record_that_was_asked_for_stops_a_run() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), "no line\n").unwrap();
        let new = |begin| LegRecord::new(None, Some(state.path()), begin, "x".into());
        new(false).check().unwrap();
        new(false).append(Leg::Copy, "done", |_| ()).unwrap();
        assert!(matches!(new(true).check(), Err(RecordError::Damaged { .. })));
        assert!(new(true).append(Leg::Copy, "done", |_| ()).is_err());
    }
}
