//! A local file that is being written: beside its final name, with a record of the parts that are in it.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rustix::fs::{Advice, CWD, FlockOperation, RenameFlags};

use super::{
    super::{
        Body, Finish, Object, PartCheckpoint, Parts, Stat, Upload, blocking,
        error::{Error, Result},
        parts::NOTE,
    },
    UNFINISHED,
};
use crate::oci::Digest;

/// Bytes of a record: the number of a part, little-endian, and its note.
const RECORD: usize = 4 + NOTE;

/// Bytes of a block in which a file's allocation is told (POSIX leaves it open; Linux says 512 for every file system).
const ALLOCATION_UNIT: u64 = 512;

/// An upload to a local file. One run at a time writes it: the file is locked.
#[derive(Debug)]
pub(super) struct LocalUpload {
    inner: Arc<LockedPartial>,
    present: Vec<(u32, PartCheckpoint)>,
}

#[derive(Debug)]
struct LockedPartial {
    target: PathBuf,
    partial: PathBuf,
    journal: PathBuf,
    file: File,
    records: Mutex<File>,
    parts: Parts,
}

impl LocalUpload {
    pub(super) fn open(target: &Path, identity: &Digest, parts: Parts) -> Result<Self> {
        let beside = |end: &str| {
            let mut name = OsString::from(".");
            name.push(target.file_name().unwrap_or_default());
            name.push(format!("{UNFINISHED}{}{end}", identity.short()));
            target.with_file_name(name)
        };
        let (partial, journal) = (beside(""), beside("-parts"));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        }
        let open = |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = open(&partial).map_err(|error| Error::write(&partial, error))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Error::Busy { what: target.display().to_string() },
            error => Error::write(&partial, error.into()),
        })?;
        let metadata = file.metadata().map_err(|error| Error::read(&partial, error))?;
        check_space(target, &metadata, parts.total()).inspect_err(|_| {
            if metadata.len() == 0 {
                // What stays behind is empty; the error that is reported matters more.
                let _ = fs::remove_file(&partial);
            }
        })?;
        let length = metadata.len();
        let mut records = open(&journal).map_err(|error| Error::write(&journal, error))?;
        let mut text = Vec::new();
        records.read_to_end(&mut text).map_err(|error| Error::read(&journal, error))?;
        let present = parse(&text, &parts, length);
        // A record that was cut off in the middle would shift those after it.
        let whole = text.len() / RECORD * RECORD;
        records.set_len(whole as u64).map_err(|error| Error::write(&journal, error))?;
        io::Seek::seek(&mut records, io::SeekFrom::End(0)).map_err(|error| Error::write(&journal, error))?;
        let target = target.to_owned();
        let inner = LockedPartial { target, partial, journal, file, records: Mutex::new(records), parts };
        Ok(Self { inner: Arc::new(inner), present })
    }
}

/// Whether `total` bytes fit beside `target`, counting what its partial file has already.
fn check_space(target: &Path, partial: &Metadata, total: u64) -> Result<()> {
    let needed = total.saturating_sub(partial.blocks() * ALLOCATION_UNIT);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = rustix::fs::statvfs(folder).map_err(|error| Error::read(folder, error.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if needed > free {
        return Err(Error::Space { what: target.display().to_string(), needed, free });
    }
    Ok(())
}

/// The last note of each part that the file is long enough to hold.
fn parse(text: &[u8], parts: &Parts, length: u64) -> Vec<(u32, PartCheckpoint)> {
    let mut latest = std::collections::BTreeMap::new();
    for record in text.chunks_exact(RECORD) {
        let (number, note) = record.split_at(4);
        let (Ok(number), Ok(note)) = (number.try_into().map(u32::from_le_bytes), note.try_into()) else { continue };
        if number < parts.count() && parts.range(number).end <= length {
            latest.insert(number, PartCheckpoint(note));
        }
    }
    latest.into_iter().collect()
}

impl LockedPartial {
    fn put(&self, number: u32, note: PartCheckpoint, body: &[u8]) -> Result<()> {
        let unwritable = |error| Error::write(&self.partial, error);
        self.file.write_all_at(body, self.parts.range(number).start).map_err(unwritable)?;
        let mut record = [0; RECORD];
        record[..4].copy_from_slice(&number.to_le_bytes());
        record[4..].copy_from_slice(&note.0);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.write_all(&record).map_err(|error| Error::write(&self.journal, error))
    }

    /// Brings everything to the medium, and drops it from memory as far as the system lets us: what is read after this
    /// comes from there.
    fn settle(&self) -> Result<()> {
        let unwritable = |error| Error::write(&self.partial, error);
        self.file.set_len(self.parts.total()).map_err(unwritable)?;
        self.file.sync_all().map_err(unwritable)?;
        // A system that does not do it costs nothing but certainty.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        Ok(())
    }

    fn commit(&self, overwrite: bool) -> Result<Stat> {
        let unwritable = |error| Error::write(&self.partial, error);
        self.file.set_len(self.parts.total()).map_err(unwritable)?;
        self.file.sync_all().map_err(unwritable)?;
        let stat = super::stat_of(&self.file.metadata().map_err(unwritable)?);
        if overwrite {
            fs::rename(&self.partial, &self.target).map_err(|error| Error::write(&self.target, error))?;
        } else {
            self.rename_new()?;
        }
        let _ = fs::remove_file(&self.journal);
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not every file system can sync a folder, and none that cannot loses the name by it.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(stat)
    }

    fn rename_new(&self) -> Result<()> {
        use rustix::io::Errno;
        let exists = || Error::Exists { what: self.target.display().to_string() };
        match rustix::fs::renameat_with(CWD, &self.partial, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(exists()),
            // Some network file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if self.target.exists() => Err(exists()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::rename(&self.partial, &self.target).map_err(|error| Error::write(&self.target, error))
            }
            Err(error) => Err(Error::write(&self.target, error.into())),
        }
    }

    fn abandon(&self) -> Result<()> {
        for path in [&self.partial, &self.journal] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::write(path, error)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &self.present
    }

    async fn put(&self, number: u32, note: PartCheckpoint, body: Body) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.put(number, note, &body.bytes)).await
    }

    async fn commit(&self, _notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat> {
        let (inner, overwrite) = (Arc::clone(&self.inner), finish.overwrite);
        blocking(move || inner.commit(overwrite)).await
    }

    async fn unfinished(&self) -> Result<Option<Arc<dyn Object>>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.settle()).await?;
        Ok(Some(Arc::new(super::LocalFile::new(&self.inner.partial))))
    }

    async fn abandon(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.abandon()).await
    }
}
