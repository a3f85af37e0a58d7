//! The transfer record: one line for each leg of a transfer, each with the hash of the line before
//! (docs/statement-format.md, *Transfer record*).

mod entry;
mod error;
mod verify;

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags};

pub use entry::{Leg, RecordEntry, RecordedBundle};
pub use error::RecordError;
pub use verify::{RecordCheck, RecordFinding, verify};

use crate::oci::Digest;

/// Bytes of one line, with its line feed.
pub const MAX_LINE: u64 = 64 << 10;

/// The file beside the record `path` that has the digest of its last line.
pub fn head_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".head");
    name.into()
}

/// Appends `entry` to the record `path`, and makes the file if there is none. Number and previous hash are set here. The
/// line is on the disk when this returns; other processes wait meanwhile.
pub fn append(path: &Path, mut entry: RecordEntry) -> Result<RecordEntry, RecordError> {
    let (mut file, last) = open(path)?;
    (entry.number, entry.previous) = match &last {
        None => (1, Digest::sha256(b"")),
        Some((last, digest)) => (last.number + 1, *digest),
    };
    let mut line = entry.seal()?;
    let head = Digest::sha256(&line);
    line.push(b'\n');
    if line.len() as u64 > MAX_LINE {
        return Err(RecordError::LongEntry { limit: MAX_LINE });
    }
    let written = file.write_all(&line).and_then(|()| file.sync_all());
    written.map_err(|source| RecordError::Write { path: path.to_owned(), source })?;
    write_head(path, head)?;
    Ok(entry)
}

/// Whether a line can be appended to the record `path`: before something is done that must be recorded.
pub fn check(path: &Path) -> Result<(), RecordError> {
    open(path).map(|_| ())
}

/// The record under its lock, cut to its last whole line, and that line.
fn open(path: &Path) -> Result<(File, Option<(RecordEntry, Digest)>), RecordError> {
    let failed = |source| RecordError::Write { path: path.to_owned(), source };
    let mut file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    let last = last_line(path, &mut file)?;
    check_head(path, last.as_ref())?;
    Ok((file, last))
}

/// The last whole line. What a kill left behind it is cut off.
fn last_line(path: &Path, file: &mut File) -> Result<Option<(RecordEntry, Digest)>, RecordError> {
    let failed = |source| RecordError::Write { path: path.to_owned(), source };
    let length = file.metadata().map_err(failed)?.len();
    // Two lines at the most: a whole one, and a torn one behind it.
    let from = length.saturating_sub(2 * MAX_LINE);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    file.take(2 * MAX_LINE).read_to_end(&mut tail).map_err(failed)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole == 0 && from > 0 {
        return Err(RecordError::Damaged { path: path.to_owned() });
    }
    if whole < tail.len() {
        file.set_len(from + whole as u64).map_err(failed)?;
    }
    let Some(lines) = tail[..whole].strip_suffix(b"\n") else { return Ok(None) };
    let line = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines);
    let entry = RecordEntry::parse(line).map_err(|_| RecordError::Damaged { path: path.to_owned() })?;
    Ok(Some((entry, Digest::sha256(line))))
}

/// Refuses to go on with a record that was cut: the new line would hide it.
fn check_head(path: &Path, last: Option<&(RecordEntry, Digest)>) -> Result<(), RecordError> {
    match (read_head(path)?, last) {
        (None, _) => Ok(()),
        // A kill between the line and its head leaves the head of the line before.
        (Some(head), Some((entry, digest))) if head == *digest || head == entry.previous => Ok(()),
        (Some(_), _) => Err(RecordError::Damaged { path: path.to_owned() }),
    }
}

/// The head of the record `path`, if there is one.
pub fn read_head(path: &Path) -> Result<Option<Digest>, RecordError> {
    let path = head_path(path);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse().map(Some).map_err(|_| RecordError::Damaged { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::Read { path, source }),
    }
}

fn write_head(path: &Path, head: Digest) -> Result<(), RecordError> {
    let path = head_path(path);
    let write = || {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new().prefix(".airlift-").tempfile_in(folder)?;
        file.write_all(format!("{head}\n").as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source: io::Error| RecordError::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests;
