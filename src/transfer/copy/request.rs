//! What to copy, and how.

use std::path::Path;

use crate::{bundle::volume::SetManifest, pack::ReadSettings, storage::Location};

/// What to copy, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[non_exhaustive]
pub struct CopyRequest {
    /// A bundle or another file, or a set by its folder, its manifest or a volume; a packed file by a volume.
    pub from: Location,
    /// A name, or a folder, container or bucket, in which everything keeps its name.
    pub to: Location,
    /// Whether `to` was written as a folder, with a slash at its end.
    pub to_folder: bool,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// Whether the source and its companions go once the copy has been proven.
    pub delete_source: bool,
    /// Whether the provider's own SHA-256 proves the far end, where it has one; otherwise the copy is read back.
    pub trust_checksums: bool,
    /// Parts in memory at once; at least one.
    pub jobs: usize,
    /// How a packed file is read.
    #[doc(hidden)]
    pub read: ReadSettings,
}

impl CopyRequest {
    /// A copy from one place to another; nothing is replaced and the source stays.
    pub fn new(from: Location, to: Location) -> Self {
        let read = ReadSettings::default();
        let (to_folder, overwrite, delete_source, trust_checksums) = (false, false, false, false);
        Self { from, to, to_folder, overwrite, delete_source, trust_checksums, jobs: 1, read }
    }

    /// Whether `to` is a place that things go into, and not the name of what is to be there.
    fn is_into_folder(&self) -> bool {
        let is_folder = |path: &Path| path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        self.to_folder || self.to.path().map_or_else(|| self.to.split().is_none(), |path| is_folder(path))
    }

    /// Whether a set may be meant. A volume that gets a name is copied alone.
    pub(super) fn may_be_set(&self) -> bool {
        let name = self.from.split().map(|(_, name)| name).unwrap_or_default();
        let is_file = match &self.from {
            Location::Path(path) => path.is_file(),
            Location::Standard => return false,
            _ => Path::new(&name).extension().is_some_and(|extension| extension == "tar" || extension == "pack"),
        };
        self.is_into_folder() || !is_file || SetManifest::set_name(&name).is_some()
    }

    /// The file or the object that a copy of one file becomes.
    pub(super) fn goal(&self) -> Location {
        if !self.is_into_folder() {
            return self.to.clone();
        }
        // A path may have a name that is not text.
        if let (Location::Path(from), Location::Path(to)) = (&self.from, &self.to)
            && let Some(name) = from.file_name()
        {
            return Location::Path(to.join(name));
        }
        self.from.split().map_or_else(|| self.to.clone(), |(_, name)| self.to.join(&name))
    }
}
