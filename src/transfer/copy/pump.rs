//! Carrying between two files of this machine: what is there is compared with the source, the rest is read and hashed on one
//! thread and written on another.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use super::{
    error::Error,
    unfinished::{Carried, Unfinished},
};
use crate::{
    bundle,
    files::{blocking::off_reactor, disk::CHUNK, name, partial::PartialFile},
    oci::{Algorithm, Digest, Hasher},
    progress::{Event, Phase, Progress},
};

/// Chunks that are read ahead of what is written.
const AHEAD: usize = 4;

/// Carries `source` into the partial file of `goal`, as far as an earlier run has not.
///
/// # Errors
/// One of them cannot be opened, another run writes `goal`, there is no room, or the source changes meanwhile.
pub(super) async fn pump(
    source: PathBuf,
    goal: PathBuf,
    overwrite: bool,
    progress: Progress,
) -> Result<Carried, Error> {
    off_reactor(move || {
        let pump = Pump::open(source, &goal, overwrite, progress)?;
        let (digest, reused) = pump.carry()?;
        // To bring it to the medium, which comes next, takes its time.
        pump.progress.tell(Event::Phase(Phase::Verifying));
        let unfinished = Unfinished::Partial(Arc::new(pump.partial), pump.meta.len());
        Ok(Carried { unfinished, reused, learnt: Some(digest) })
    })
    .await
}

/// A copy under way.
struct Pump {
    source: PathBuf,
    from: File,
    meta: Metadata,
    partial: PartialFile,
    /// Bytes that an earlier run left in it.
    there: u64,
    progress: Progress,
    /// What observers know the file by: it has no digest before it was read.
    token: Digest,
}

impl Pump {
    fn open(source: PathBuf, goal: &Path, overwrite: bool, progress: Progress) -> Result<Self, Error> {
        let folder = name::folder_of(goal);
        if !folder.is_dir() {
            return Err(Error::NoFolder { path: folder.to_owned() });
        }
        let from = File::open(&source).map_err(bundle::Error::read(&source))?;
        let meta = from.metadata().map_err(bundle::Error::read(&source))?;
        let partial = PartialFile::open(goal, overwrite)?;
        // Reserving makes the file as long as it will be.
        let there = partial.file().metadata().map_err(bundle::Error::read(partial.path()))?.len();
        partial.reserve(meta.len())?;
        let token = Digest::sha256(goal.as_os_str().as_encoded_bytes());
        Ok(Self { source, from, meta, partial, there, progress, token })
    }

    /// Copies what is not there yet; the digest of the source, and the bytes that were there.
    fn carry(&self) -> Result<(Digest, u64), Error> {
        let size = self.meta.len();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let reused = self.compare(&mut hasher)?;
        self.progress.tell(Event::Phase(Phase::Transferring));
        self.progress.tell(Event::Planned { blobs: 1, bytes: size, present: reused });
        self.progress.tell(Event::Started { blob: self.token, size: size - reused });
        self.pump(reused, &mut hasher)?;
        let now = fs::metadata(&self.source).map_err(bundle::Error::read(&self.source))?;
        let same = |a: &Metadata, b: &Metadata| a.len() == b.len() && a.mtime() == b.mtime() && a.ino() == b.ino();
        if !same(&now, &self.meta) {
            return Err(Error::Changed { path: self.source.clone() });
        }
        self.progress.tell(Event::Finished { blob: self.token });
        Ok((hasher.finish(), reused))
    }

    /// How much of the source an earlier run has copied: whole chunks, compared byte by byte.
    fn compare(&self, hasher: &mut Hasher) -> Result<u64, Error> {
        let there = self.there;
        let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = 0;
        while at < there.min(self.meta.len()) {
            let want = chunk_size(there.min(self.meta.len()) - at);
            let (ours, theirs) = (&mut ours[..want], &mut theirs[..want]);
            self.from.read_exact_at(theirs, at).map_err(bundle::Error::read(&self.source))?;
            self.partial.file().read_exact_at(ours, at).map_err(bundle::Error::read(self.partial.path()))?;
            if ours != theirs {
                break;
            }
            hasher.update(theirs);
            at += want as u64;
        }
        Ok(at)
    }

    /// Reads and hashes on this thread and writes on another.
    fn pump(&self, from: u64, hasher: &mut Hasher) -> Result<(), Error> {
        let size = self.meta.len();
        let (full, to_write) = mpsc::sync_channel::<(Vec<u8>, u64)>(AHEAD);
        let (empty, to_fill) = mpsc::channel::<Vec<u8>>();
        thread::scope(|scope| {
            let writer = scope.spawn(move || -> io::Result<()> {
                for (buffer, at) in to_write {
                    self.partial.file().write_all_at(&buffer, at)?;
                    self.progress.tell(Event::Advanced { blob: self.token, bytes: buffer.len() as u64 });
                    // The receiver is gone at the end, and that is not an error.
                    let _ = empty.send(buffer);
                }
                Ok(())
            });
            let mut at = from;
            let mut outcome = Ok(());
            while at < size {
                let mut buffer = to_fill.try_recv().unwrap_or_default();
                buffer.resize(chunk_size(size - at), 0);
                if let Err(error) = self.from.read_exact_at(&mut buffer, at) {
                    outcome = Err(bundle::Error::read(&self.source)(error).into());
                    break;
                }
                hasher.update(&buffer);
                let length = buffer.len() as u64;
                if full.send((buffer, at)).is_err() {
                    break;
                }
                at += length;
            }
            drop(full);
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.map_err(bundle::Error::write(self.partial.path()))?;
            outcome
        })
    }
}

fn chunk_size(left: u64) -> usize {
    usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)
}
