//! A local file that is being written: beside its final name, with a record of the parts that are in it.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::super::{
    Body, Finish, Object, PartCheckpoint, Parts, Stat, Upload,
    error::{Error, Result},
    parts::NOTE,
};
use crate::{
    files::{blocking::off_reactor, disk, name, open, partial::PartialFile, rename::remove},
    oci::Digest,
};

/// Bytes of a record: the number of a part, little-endian, and its note.
const RECORD: usize = 4 + NOTE;

/// An upload to a local file. One run at a time writes it: the file is locked.
#[derive(Debug)]
pub(super) struct LocalUpload {
    inner: Arc<LockedPartial>,
    present: Vec<(u32, PartCheckpoint)>,
}

#[derive(Debug)]
struct LockedPartial {
    file: PartialFile,
    journal: PathBuf,
    records: Mutex<File>,
    parts: Parts,
}

impl LocalUpload {
    pub(super) fn open(target: &Path, identity: &Digest, parts: Parts) -> Result<Self> {
        let beside = |end: &str| {
            let mut name = OsString::from(".");
            name.push(target.file_name().unwrap_or_default());
            name.push(format!("{}{}{end}", name::UPLOAD, identity.short()));
            target.with_file_name(name)
        };
        let (partial, journal) = (beside(""), beside("-parts"));
        let folder = name::folder_of(target);
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        // Whether the target may be replaced is known only at the end.
        let file = PartialFile::open_as(partial, target, true)?;
        file.check_space(parts.total())?;
        let length = file.file().metadata().map_err(|error| Error::read(file.path(), error))?.len();
        let mut records = open::own(&journal, open::Access::Usual)?;
        let unwritable = |error| Error::write(&journal, error);
        let mut text = Vec::new();
        records.read_to_end(&mut text).map_err(unwritable)?;
        let present = parse(&text, &parts, length);
        // A record that was cut off in the middle would shift those after it.
        let whole = text.len() / RECORD * RECORD;
        records.set_len(whole as u64).and_then(|()| records.seek(SeekFrom::End(0))).map_err(unwritable)?;
        let inner = LockedPartial { file, journal, records: Mutex::new(records), parts };
        Ok(Self { inner: Arc::new(inner), present })
    }
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
        let unwritable = |error| Error::write(self.file.path(), error);
        self.file.file().write_all_at(body, self.parts.range(number).start).map_err(unwritable)?;
        let mut record = [0; RECORD];
        record[..4].copy_from_slice(&number.to_le_bytes());
        record[4..].copy_from_slice(&note.0);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.write_all(&record).map_err(|error| Error::write(&self.journal, error))
    }

    fn settle(&self) -> Result<()> {
        let file = self.file.file();
        let settled = file.set_len(self.parts.total()).and_then(|()| disk::settle(file));
        settled.map_err(|error| Error::write(self.file.path(), error))
    }

    fn commit(&self, overwrite: bool) -> Result<Stat> {
        self.file.give_name(self.parts.total(), overwrite)?;
        let metadata = self.file.file().metadata().map_err(|error| Error::read(self.file.goal(), error))?;
        // It has no meaning any more, so failing to remove it does no harm.
        let _ = remove(&self.journal);
        Ok(super::stat_of(&metadata))
    }

    fn abandon(&self) -> Result<()> {
        [self.file.path(), &self.journal]
            .into_iter()
            .try_for_each(|path| remove(path).map_err(|error: io::Error| Error::write(path, error)))
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &self.present
    }

    async fn put(&self, number: u32, note: PartCheckpoint, body: Body) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        off_reactor(move || inner.put(number, note, &body.bytes)).await
    }

    async fn commit(&self, _notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat> {
        let (inner, overwrite) = (Arc::clone(&self.inner), finish.overwrite);
        off_reactor(move || inner.commit(overwrite)).await
    }

    async fn unfinished(&self) -> Result<Option<Arc<dyn Object>>> {
        let inner = Arc::clone(&self.inner);
        off_reactor(move || inner.settle()).await?;
        Ok(Some(Arc::new(super::LocalFile::new(self.inner.file.path()))))
    }

    async fn abandon(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        off_reactor(move || inner.abandon()).await
    }
}
