//! Every name and path of a store's folder.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::oci::{Algorithm, Digest};

/// Hex digits of a repository's hash in the name of an upload: enough that two never meet, short enough for a file name.
const REPOSITORY_DIGITS: usize = 32;

/// The paths below one folder.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folders that must exist.
    pub fn folders(&self) -> [PathBuf; 2] {
        [self.blobs(), self.uploads()]
    }

    /// The folder of all blobs.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The folder of all unfinished uploads.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// The file whose lock makes the store one process's.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("store.sqlite")
    }

    /// The folder of the blobs whose digest begins as this one does, for folders of a million files are slow.
    pub fn shard(&self, digest: &Digest) -> PathBuf {
        let mut path = self.blobs();
        path.push(digest.algorithm().name());
        path.push(&digest.hex()[..2]);
        path
    }

    /// A blob.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.shard(digest).join(digest.hex())
    }

    /// What was received of an upload. The name says all that must be known of it after a restart, so that beginning one
    /// costs a file and no more.
    pub fn upload(&self, id: &Uuid, repository: &str, algorithm: Algorithm) -> PathBuf {
        let hash = Digest::sha256(repository.as_bytes()).hex();
        self.uploads().join(format!("{id}.{algorithm}.{}", &hash[..REPOSITORY_DIGITS]))
    }

    /// The id of the upload that the path is of.
    pub fn upload_id(path: &Path) -> Option<Uuid> {
        path.file_name()?.to_str()?.split('.').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_of_another_repository_has_another_path() {
        let paths = Paths::new(Path::new("/store"));
        let id = Uuid::nil();
        let one = paths.upload(&id, "a", Algorithm::Sha256);
        assert_ne!(one, paths.upload(&id, "b", Algorithm::Sha256));
        assert_ne!(one, paths.upload(&id, "a", Algorithm::Sha512));
        assert!(one.file_name().unwrap().len() < 255);
    }
}
