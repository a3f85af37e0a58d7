//! A file that is being rebuilt: under its final name only once it is proven, and gone again if it never is.

use std::{path::Path, sync::Arc};

use super::{Error, Result, space::Handle};
use crate::bundle::partial::PartialFile;

/// A file under way. Dropped before it is published, it vanishes; a kill leaves it for the next run, which writes it anew.
#[derive(Debug)]
pub(super) struct DraftFile {
    partial: Option<PartialFile>,
    pub(super) handle: Handle,
}

impl DraftFile {
    /// An empty file of `length` reserved bytes that is to become `goal`.
    pub(super) fn open(goal: &Path, replace: bool, length: u64) -> Result<Self> {
        let partial = PartialFile::open(goal, replace)?;
        let file = partial.file().try_clone().map_err(Error::write(partial.path()))?;
        let handle = Handle { path: partial.path().to_owned(), file: Arc::new(file) };
        let draft = Self { partial: Some(partial), handle };
        let write = || Error::write(&draft.handle.path);
        draft.handle.file.set_len(0).map_err(write())?;
        draft.partial().reserve(length)?;
        draft.handle.file.set_len(length).map_err(write())?;
        Ok(draft)
    }

    pub(super) fn partial(&self) -> &PartialFile {
        self.partial.as_ref().expect("it is taken only when it is published or dropped")
    }

    /// Makes it durable and gives it its name.
    pub(super) fn publish(mut self, length: u64) -> Result<()> {
        let Some(partial) = self.partial.take() else { return Ok(()) };
        partial.publish(length)?;
        Ok(())
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            // What stays behind is written anew by the next run; the error that ended this one matters more.
            let _ = std::fs::remove_file(partial.path());
        }
    }
}
