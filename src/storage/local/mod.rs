//! Local files.

mod partial;

use std::{
    fs::{self, Metadata},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::{
    Chunks, ListedObject, Location, Object, PartLimits, Stat, Upload, UploadSpec, Version,
    error::{Error, Result},
};
use crate::files::{blocking::off_reactor, name};

/// Bytes read at a time.
const CHUNK: u64 = 1 << 20;

/// A local file, there or not.
#[derive(Debug)]
pub(crate) struct LocalFile {
    location: Location,
    path: PathBuf,
}

impl LocalFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { location: Location::Path(path.to_owned()), path: path.to_owned() }
    }

    fn look(&self) -> Result<Stat> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.unreadable(error))?;
        if !metadata.is_file() {
            return Err(self.unreadable(io::ErrorKind::IsADirectory.into()));
        }
        Ok(stat_of(&metadata))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound { what: self.location.to_string() },
            _ => Error::read(&self.path, error),
        }
    }

    fn changed(&self) -> Error {
        Error::Changed { what: self.location.to_string() }
    }
}

fn stat_of(metadata: &Metadata) -> Stat {
    let modified = Timestamp::new(metadata.mtime(), i32::try_from(metadata.mtime_nsec()).unwrap_or(0)).ok();
    let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
    let version = format!("{device:x}-{inode:x}-{size:x}-{:x}.{:x}", metadata.mtime(), metadata.mtime_nsec());
    Stat { size, version: Version(version), modified, metadata: std::collections::BTreeMap::new(), md5: None }
}

#[async_trait]
impl Object for LocalFile {
    fn location(&self) -> &Location {
        &self.location
    }

    fn limits(&self) -> PartLimits {
        PartLimits { parts: u64::from(u32::MAX), smallest: 0, largest: 1 << 40 }
    }

    async fn stat(&self) -> Result<Stat> {
        let file = Self::new(&self.path);
        off_reactor(move || file.look()).await
    }

    async fn read(&self, version: &Version, range: Range<u64>) -> Result<Chunks> {
        let file = Self::new(&self.path);
        let (opened, file) = off_reactor(move || (fs::File::open(&file.path), file)).await;
        // A file replaced by renaming stays readable here; one that was written in place is found at the end of the read.
        let opened = Arc::new(opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.changed(),
            _ => self.unreadable(error),
        })?);
        let reading = LocalRead { file, opened, version: version.clone(), at: range.start, end: range.end };
        reading.check()?;
        let step = async |mut reading: LocalRead| {
            if reading.at >= reading.end {
                return Ok(None);
            }
            let (chunk, reading) = off_reactor(move || (reading.chunk(), reading)).await;
            chunk.map(|chunk| Some((chunk, reading)))
        };
        Ok(stream::try_unfold(reading, step).boxed())
    }

    async fn delete(&self, version: &Version) -> Result<()> {
        let (file, version) = (Self::new(&self.path), version.clone());
        off_reactor(move || match file.look() {
            Ok(stat) if stat.version == version => {
                fs::remove_file(&file.path).map_err(|error| Error::write(&file.path, error))
            }
            Ok(_) => Err(file.changed()),
            Err(error) if error.is_not_found() => Err(file.changed()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn upload(&self, draft: &UploadSpec) -> Result<Box<dyn Upload>> {
        let (path, identity, parts) = (self.path.clone(), draft.identity, draft.parts);
        Ok(Box::new(off_reactor(move || partial::LocalUpload::open(&path, &identity, parts)).await?))
    }
}

/// A read under way.
struct LocalRead {
    file: LocalFile,
    opened: Arc<fs::File>,
    version: Version,
    at: u64,
    end: u64,
}

impl LocalRead {
    fn check(&self) -> Result<()> {
        let metadata = self.opened.metadata().map_err(|error| self.file.unreadable(error))?;
        if stat_of(&metadata).version == self.version { Ok(()) } else { Err(self.file.changed()) }
    }

    fn chunk(&mut self) -> Result<Bytes> {
        let want = usize::try_from((self.end - self.at).min(CHUNK)).unwrap_or(0);
        let mut buffer = vec![0; want];
        self.opened.read_exact_at(&mut buffer, self.at).map_err(|error| self.file.unreadable(error))?;
        self.at += want as u64;
        if self.at >= self.end {
            self.check()?;
        }
        Ok(buffer.into())
    }
}

/// A local folder.
#[derive(Debug)]
pub(crate) struct LocalFolder {
    location: Location,
    path: PathBuf,
}

impl LocalFolder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { location: Location::Path(path.to_owned()), path: path.to_owned() }
    }
}

#[async_trait]
impl super::Folder for LocalFolder {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn list(&self) -> Result<Vec<ListedObject>> {
        let path = self.path.clone();
        off_reactor(move || {
            let (found, unreadable) = list(&path)?;
            unreadable.into_iter().next().map_or(Ok(found), Err)
        })
        .await
    }

    async fn list_readable(&self) -> Result<(Vec<ListedObject>, Vec<Error>)> {
        let path = self.path.clone();
        off_reactor(move || list(&path)).await
    }

    fn object(&self, name: &str) -> Result<Arc<dyn Object>> {
        Ok(Arc::new(LocalFile::new(&self.path.join(name))))
    }
}

/// The files in `root`, sorted by name, and the folders below it that cannot be read.
fn list(root: &Path) -> Result<(Vec<ListedObject>, Vec<Error>)> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        match list_one(root, &folder, &mut found) {
            Ok(folders) => open.extend(folders),
            Err(error) if folder == root => return Err(error),
            // It went while the others were read.
            Err(error) if error.is_not_found() => {}
            Err(error) => unreadable.push(error),
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((found, unreadable))
}

/// Adds the files of `folder` to `found`; returns the folders in it.
fn list_one(root: &Path, folder: &Path, found: &mut Vec<ListedObject>) -> Result<Vec<PathBuf>> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { what: folder.display().to_string() },
        _ => Error::read(folder, error),
    };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(failed)?,
        };
        let path = entry.path();
        if metadata.is_dir() {
            folders.push(path);
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && metadata.is_file()
            && !entry.file_name().to_string_lossy().contains(name::UPLOAD)
        {
            let stat = stat_of(&metadata);
            found.push(ListedObject {
                name: name.to_owned(),
                size: stat.size,
                modified: stat.modified,
                version: Some(stat.version),
            });
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Folder as _, conformance};

    #[tokio::test]
    async fn local_files_are_a_provider() {
        let folder = tempfile::tempdir().unwrap();
        conformance::object(Arc::new(LocalFile::new(&folder.path().join("some.tar")))).await;
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left over");
        conformance::folder(&LocalFolder::new(folder.path())).await;
    }

    #[tokio::test]
    async fn an_unfinished_file_is_not_listed_and_belongs_to_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = LocalFile::new(&folder.path().join("some.tar"));
        let parts = super::super::Parts::of(10, 1, &file.limits(), file.location()).unwrap();
        let draft = UploadSpec {
            identity: crate::oci::Digest::sha256(b"x"),
            parts,
            metadata: std::collections::BTreeMap::new(),
        };
        let upload = file.upload(&draft).await.unwrap();
        assert_eq!(LocalFolder::new(folder.path()).list().await.unwrap(), []);
        assert!(matches!(file.upload(&draft).await, Err(Error::Busy { .. })));
        drop(upload);
        assert!(file.upload(&draft).await.is_ok());
    }
}
