//! What a later run must know of an unfinished multipart upload: S3 keeps no notes with parts.
//!
//! A file of JSON lines: first the upload's id, then a line a part. It is locked while a run uses it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::super::{
    PartCheckpoint,
    error::{Error, Result},
};
use crate::oci::Digest;

/// What the names of journals end in.
const SUFFIX: &str = "jsonl";

#[derive(Serialize, Deserialize)]
struct JournalHead {
    /// Whose it is, for people who look into the folder.
    object: String,
    upload: String,
}

#[derive(Serialize, Deserialize)]
struct UploadLine {
    part: u32,
    note: String,
    id: String,
    /// The SHA-256 of the part, by which the whole can be attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
}

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UploadedPart {
    /// What the provider calls it.
    pub(super) id: String,
    /// The SHA-256 of its bytes.
    pub(super) sha256: Option<Digest>,
}

/// The journal of one upload.
#[derive(Debug)]
pub(super) struct UploadJournal {
    path: PathBuf,
    file: Mutex<File>,
    upload: Option<String>,
    parts: BTreeMap<(u32, PartCheckpoint), UploadedPart>,
}

impl UploadJournal {
    /// Opens the journal of the upload of `identity` to `object`, or makes an empty one.
    pub(super) fn open(folder: &Path, object: &str, identity: &Digest) -> Result<Self> {
        let name = Digest::sha256(format!("{object}\n{identity}").as_bytes()).hex();
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        Self::open_at(folder.join(format!("{name}.{SUFFIX}")), object)
    }

    /// The journals in `folder` of uploads to objects that `is_meant` names, each with its object.
    pub(super) fn all(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Result<Vec<(String, Self)>> {
        let unreadable = |error: io::Error| Error::read(folder, error);
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|end| end != SUFFIX) {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| Error::read(&path, error))?;
            let head = text.lines().next().and_then(|line| serde_json::from_str::<JournalHead>(line).ok());
            if let Some(JournalHead { object, .. }) = head.filter(|head| is_meant(&head.object)) {
                let journal = Self::open_at(path, &object)?;
                found.push((object, journal));
            }
        }
        Ok(found)
    }

    fn open_at(path: PathBuf, object: &str) -> Result<Self> {
        let unwritable = |error: io::Error| Error::write(&path, error);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(unwritable)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Error::Busy { what: object.to_owned() },
            error => unwritable(error.into()),
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unwritable)?;
        // A line that was cut off in the middle is forgotten, and its part uploaded again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(unwritable)?;
        file.seek(SeekFrom::End(0)).map_err(unwritable)?;
        let mut lines = text[..whole].lines();
        let upload =
            lines.next().and_then(|line| serde_json::from_str::<JournalHead>(line).ok()).map(|head| head.upload);
        let mut parts = BTreeMap::new();
        for ((part, note), placed) in lines.filter_map(read_line) {
            // A part that was put again has replaced the one before.
            parts.retain(|(other, _), _| *other != part);
            parts.insert((part, note), placed);
        }
        Ok(Self { path, file: Mutex::new(file), upload, parts })
    }

    /// The upload that is under way.
    pub(super) fn upload(&self) -> Option<&str> {
        self.upload.as_deref()
    }

    /// The parts that are there, and the provider's ids of them.
    pub(super) const fn parts(&self) -> &BTreeMap<(u32, PartCheckpoint), UploadedPart> {
        &self.parts
    }

    /// A new upload begins; what was known of an earlier one is forgotten.
    pub(super) fn begin(&mut self, object: &str, upload: &str) -> Result<()> {
        let unwritable = |error: io::Error| Error::write(&self.path, error);
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0).map_err(unwritable)?;
        file.rewind().map_err(unwritable)?;
        append(file, &JournalHead { object: object.to_owned(), upload: upload.to_owned() }).map_err(unwritable)?;
        self.upload = Some(upload.to_owned());
        self.parts.clear();
        Ok(())
    }

    /// A part is there.
    pub(super) fn add(&self, part: u32, note: PartCheckpoint, placed: &UploadedPart) -> Result<()> {
        let UploadedPart { id, sha256 } = placed.clone();
        let line = UploadLine { part, note: BASE64_STANDARD.encode(note.0), id, sha256 };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        append(&mut file, &line).map_err(|error| Error::write(&self.path, error))
    }

    /// The upload is at its end.
    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(&self.path, error)),
            _ => Ok(()),
        }
    }
}

fn append(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn read_line(line: &str) -> Option<((u32, PartCheckpoint), UploadedPart)> {
    let UploadLine { part, note, id, sha256 } = serde_json::from_str(line).ok()?;
    let note = BASE64_STANDARD.decode(note).ok()?.try_into().ok()?;
    Some(((part, PartCheckpoint(note)), UploadedPart { id, sha256 }))
}
