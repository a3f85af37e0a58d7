//! Garbage collection: content that no manifest names is deleted, while no other process has the store open.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use uuid::Uuid;

use super::{
    error::{Result, StoreError},
    handle::Store,
    metadata::Db,
    paths::Paths,
};
use crate::{
    files::disk,
    oci::{Digest, Manifest},
};

/// What a sweep takes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sweep {
    /// Unfinished uploads that were idle for so long.
    pub uploads_older_than: Duration,
    /// Only tell what would go.
    pub dry_run: bool,
}

impl Sweep {
    /// Deletes uploads that were idle for so long, or only counts them.
    pub const fn new(uploads_older_than: Duration, dry_run: bool) -> Self {
        Self { uploads_older_than, dry_run }
    }
}

/// What a sweep took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Collected {
    /// Blobs that no manifest names, and files that no blob is.
    pub blobs: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Abandoned uploads.
    pub uploads: u64,
}

impl Store {
    /// Opens the store in `dir` alone and takes out of it each blob that no manifest of its repository names.
    pub fn sweep(dir: &Path, sweep: Sweep) -> Result<Collected> {
        // Opening would make one of whatever folder was misspelt.
        if !Paths::new(dir).database().is_file() {
            return Err(StoreError::Absent { dir: dir.to_owned() });
        }
        let store = Self::open(dir)?;
        let mut collected = Collected::default();
        let mut kept = HashSet::new();
        let swept = store.metadata().write(|db| {
            release_unnamed(db)?;
            db.each_blob(|digest, _| {
                kept.insert(digest);
            })?;
            if sweep.dry_run { Err(StoreError::Superseded) } else { Ok(()) }
        });
        match swept {
            // The transaction of a dry run is rolled back.
            Err(StoreError::Superseded) if sweep.dry_run => {}
            swept => swept?,
        }
        for (path, digest) in blob_files(&store.paths().blobs())? {
            if digest.is_none_or(|digest| !kept.contains(&digest)) {
                collected.blobs += 1;
                collected.bytes += fs::metadata(&path).map_err(|source| StoreError::read(&path, source))?.len();
                remove(&path, sweep.dry_run)?;
            }
        }
        collected.uploads = store.expire(sweep.uploads_older_than, sweep.dry_run)?;
        Ok(collected)
    }

    /// Deletes unfinished uploads that were idle for `age`; safe while the store is served. How many.
    pub fn expire_uploads(&self, age: Duration) -> Result<u64> {
        self.expire(age, false)
    }

    /// The unfinished uploads, with the bytes that were received of each.
    pub fn unfinished(&self) -> Result<HashMap<Uuid, u64>> {
        let mut found = HashMap::new();
        for path in entries(&self.paths().uploads())? {
            // One that ends meanwhile is no longer unfinished.
            let size = fs::symlink_metadata(&path).map(|found| found.len());
            if let (Some(id), Ok(size)) = (Paths::upload_id(&path), size) {
                found.insert(id, size);
            }
        }
        Ok(found)
    }

    /// Bytes of the disk that are free for this process, and its size.
    pub fn space(&self) -> Result<(u64, u64)> {
        let folder = self.paths().uploads();
        disk::space(&folder).map_err(|error| StoreError::read(&folder, error))
    }

    fn expire(&self, age: Duration, dry_run: bool) -> Result<u64> {
        let mut expired = 0;
        let limit = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        for path in entries(&self.paths().uploads())? {
            let touched = fs::metadata(&path).and_then(|found| found.modified());
            if touched.is_ok_and(|touched| touched <= limit) {
                expired += 1;
                remove(&path, dry_run)?;
                if let Some(id) = Paths::upload_id(&path) {
                    self.sessions().forget(&id);
                }
            }
        }
        Ok(expired)
    }
}

/// Takes from each repository the blobs that none of its manifests names, and then those that no repository has.
fn release_unnamed(db: &Db<'_>) -> Result<()> {
    db.sweep(
        "CREATE TEMP TABLE marked (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID",
    )?;
    db.each_manifest(|repository, media_type, bytes| {
        // What cannot be parsed was not put here by us; it names nothing that we can know of.
        if let Ok(manifest) = Manifest::parse(bytes.into(), Some(media_type)) {
            manifest.blobs().try_for_each(|blob| db.mark(repository, &blob.digest))?;
        }
        Ok(())
    })?;
    db.sweep(
        "DELETE FROM held WHERE NOT EXISTS (SELECT 1 FROM temp.marked
         WHERE marked.repository = held.repository AND marked.digest = held.digest)",
    )?;
    db.sweep("DELETE FROM blob WHERE NOT EXISTS (SELECT 1 FROM held WHERE held.digest = blob.digest)")?;
    db.sweep("DROP TABLE temp.marked")?;
    Ok(())
}

/// Every file below `blobs/`, with the digest that its place gives it, if it does.
fn blob_files(blobs: &Path) -> Result<Vec<(PathBuf, Option<Digest>)>> {
    let mut files = Vec::new();
    for algorithm in entries(blobs)? {
        for shard in entries(&algorithm)? {
            for path in entries(&shard)? {
                let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
                let text = name(&algorithm).zip(name(&path)).map(|(algorithm, hex)| format!("{algorithm}:{hex}"));
                files.push((path, text.and_then(|text| text.parse().ok())));
            }
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    list().map_err(|source| StoreError::read(folder, source))
}

fn remove(path: &Path, dry_run: bool) -> Result<()> {
    if dry_run {
        return Ok(());
    }
    fs::remove_file(path).map_err(|source| StoreError::write(path, source))
}
