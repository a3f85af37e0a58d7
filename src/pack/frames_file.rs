//! The frames of a packed file that is being written, and the journal that says which are there. Nothing in the journal is
//! trusted: what it names is hashed before it is kept.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek as _, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{Result, head::PackFrame, survey::BlobSurvey};
use crate::{
    files::{self, disk, name, open, rename::remove},
    oci::Digest,
};

/// The longest journal that is read.
const MOST_JOURNAL: u64 = 256 << 20;

/// A thing that was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PackLine {
    /// What is packed, and with which settings. Lines of another task count for nothing.
    Task {
        /// A digest of both.
        task: Digest,
    },
    /// A blob was looked at.
    Survey {
        /// The blob.
        digest: Digest,
        /// What was found.
        survey: Box<BlobSurvey>,
    },
    /// A frame was written.
    Frame {
        /// The number of its content.
        content: usize,
        /// Its number in the content.
        number: usize,
        /// Where it is in the file of frames.
        offset: u64,
        /// What it is.
        frame: PackFrame,
    },
}

/// A frame that is in the file.
#[derive(Clone, Debug)]
pub(super) struct WrittenFrame {
    pub(super) offset: u64,
    pub(super) frame: PackFrame,
}

/// The file of frames.
#[derive(Debug)]
pub(super) struct FramesFile {
    file: File,
    path: PathBuf,
    journal: File,
    journal_path: PathBuf,
    end: Mutex<u64>,
    /// What an earlier run has found out.
    pub(super) surveys: HashMap<Digest, BlobSurvey>,
    /// What an earlier run has written, by content and number.
    earlier: HashMap<(usize, usize), WrittenFrame>,
}

/// The name of the file of frames beside the unfinished file `partial`.
fn frames_path(partial: &Path) -> PathBuf {
    name::with_suffix(partial, ".frames")
}

impl FramesFile {
    /// Opens the files beside the unfinished file `partial`; what is in them counts if it is of the same task.
    pub(super) fn open(partial: &Path, task: Digest) -> Result<Self> {
        let (path, journal_path) = (frames_path(partial), name::journal(partial));
        let file = open::own(&path, open::Access::Usual)?;
        let mut journal = open::own(&journal_path, open::Access::Usual)?;
        let mut text = Vec::new();
        let read = (&mut journal).take(MOST_JOURNAL).read_to_end(&mut text);
        read.map_err(files::Error::read(&journal_path))?;
        // What was not read is too much to be read; what comes is behind it.
        journal.seek(SeekFrom::End(0)).map_err(files::Error::read(&journal_path))?;
        let mut lines = text.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let same = matches!(lines.next(), Some(PackLine::Task { task: found }) if found == task);
        let written = Self {
            file,
            path,
            journal,
            journal_path,
            end: Mutex::new(0),
            surveys: HashMap::new(),
            earlier: HashMap::new(),
        };
        if same { written.resumed(lines, &text) } else { written.fresh(task) }
    }

    fn fresh(self, task: Digest) -> Result<Self> {
        self.file.set_len(0).map_err(files::Error::write(&self.path))?;
        self.journal.set_len(0).map_err(files::Error::write(&self.journal_path))?;
        (&self.journal).seek(SeekFrom::Start(0)).map_err(files::Error::write(&self.journal_path))?;
        self.add(&PackLine::Task { task })?;
        Ok(self)
    }

    fn resumed(mut self, lines: impl Iterator<Item = PackLine>, text: &[u8]) -> Result<Self> {
        let mut end = 0;
        for line in lines {
            match line {
                PackLine::Task { .. } => {}
                PackLine::Survey { digest, survey } => drop(self.surveys.insert(digest, *survey)),
                PackLine::Frame { content, number, offset, frame } => {
                    end = end.max(offset.saturating_add(frame.size));
                    self.earlier.insert((content, number), WrittenFrame { offset, frame });
                }
            }
        }
        self.end = Mutex::new(end);
        // A run that was killed may have left half a line.
        if text.last().is_some_and(|&last| last != b'\n') {
            (&self.journal).write_all(b"\n").map_err(files::Error::write(&self.journal_path))?;
        }
        Ok(self)
    }

    /// The frame that an earlier run wrote, if it is sound and `fits`.
    pub(super) fn earlier(
        &self,
        content: usize,
        number: usize,
        fits: impl Fn(&PackFrame) -> bool,
    ) -> Option<WrittenFrame> {
        let written = self.earlier.get(&(content, number)).filter(|written| fits(&written.frame))?;
        let bytes = disk::read_up_to(&self.file, written.offset, written.frame.size).ok()?;
        (Digest::sha256(&bytes) == written.frame.digest).then(|| written.clone())
    }

    /// Writes a frame and notes it.
    pub(super) fn write(&self, content: usize, number: usize, frame: PackFrame, bytes: &[u8]) -> Result<WrittenFrame> {
        let offset = {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            let own = *end;
            *end += bytes.len() as u64;
            own
        };
        self.file.write_all_at(bytes, offset).map_err(files::Error::write(&self.path))?;
        disk::begin_writeback(&self.file, offset, bytes.len() as u64);
        self.add(&PackLine::Frame { content, number, offset, frame: frame.clone() })?;
        Ok(WrittenFrame { offset, frame })
    }

    /// Adds a line to the journal, in one write.
    pub(super) fn add(&self, line: &PackLine) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("strings and numbers serialise");
        text.push(b'\n');
        (&self.journal).write_all(&text).map_err(files::Error::write(&self.journal_path))?;
        Ok(())
    }

    /// Copies `size` bytes from `offset` on to `at` in `goal`.
    pub(super) fn copy_to(&self, offset: u64, goal: &File, at: u64, size: u64) -> std::io::Result<()> {
        disk::carry_over(&self.file, offset, goal, at, size)
    }

    /// Removes the files: what is in them is in the packed file.
    pub(super) fn remove(self) -> Result<()> {
        for path in [&self.path, &self.journal_path] {
            remove(path).map_err(files::Error::write(path))?;
        }
        Ok(())
    }
}

/// Removes what a run left that was killed after the packed file got its name.
pub(super) fn tidy(partial: &Path) {
    if !partial.exists() {
        for path in [frames_path(partial), name::journal(partial)] {
            // It has no meaning any more, so failing to remove it does no harm.
            let _ = remove(&path);
        }
    }
}
