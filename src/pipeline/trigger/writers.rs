//! Who writes to the local files of a source, as far as the system told: shared by the watch, which hears it, and the flights,
//! of which one of a set of volumes has to know it of several files.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Names of files by what was reported of them.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    /// Somebody writes to them.
    written: HashSet<String>,
    /// Their writer has ended since.
    closed: HashSet<String>,
}

impl Writers {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody writes to it.
    pub(super) fn writes(&self, name: &str) {
        let mut names = self.names();
        names.closed.remove(name);
        names.written.insert(name.to_owned());
    }

    /// Writing has ended.
    pub(super) fn closes(&self, name: &str) {
        let mut names = self.names();
        names.written.remove(name);
        names.closed.insert(name.to_owned());
    }

    /// It is not there any more.
    pub(super) fn forget(&self, name: &str) {
        let mut names = self.names();
        names.written.remove(name);
        names.closed.remove(name);
    }

    /// Nothing is known any more.
    pub(super) fn forget_all(&self) {
        *self.names() = Names::default();
    }

    /// Whether somebody is known to write to it.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.names().written.contains(name)
    }

    /// Whether its writer is known to have ended.
    pub(super) fn is_closed(&self, name: &str) -> bool {
        self.names().closed.contains(name)
    }
}
