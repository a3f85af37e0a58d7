//! Moving a bundle between places: copied, read back from where it went, compared, and only then given its name.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use super::{
    packed_copy::{PackedCheck, PackedFlaws, PackedProof, check_copy},
    verify,
};
use crate::{
    bundle::{self, Reader},
    content::{Code, Fault},
    files::{
        self,
        blocking::off_reactor,
        disk::{self, CHUNK},
        name,
        partial::PartialFile,
    },
    oci::{Algorithm, Digest, Hasher},
    pack::ReadSettings,
    progress::{Event, Phase, Progress},
    storage::{self, Location, Pinned, Settings},
};

/// Chunks that are read ahead of what is written.
const AHEAD: usize = 4;

/// What to copy, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The bundle.
    pub source: PathBuf,
    /// A file name, or a folder, in which the copy keeps its name.
    pub destination: PathBuf,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
    /// Whether the source goes once the copy has been proven.
    pub delete_source: bool,
}

/// A copy that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file, at both ends.
    pub digest: Digest,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// The bundle id, where it is a bundle of ours.
    pub bundle: Option<Digest>,
    /// How the packed file was checked, where it is one.
    #[doc(hidden)]
    pub packed: Option<PackedCheck>,
    /// Whether all of it was there under its name already.
    pub already_there: bool,
}

/// Why a bundle was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading, writing or checking failed.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The destination is there already, has no room, is being written by another run, or may not be written to.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A storage failed, has no such object, or has one already.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
    /// The source is a folder, a device or the like.
    #[error("{} is not a file that can be copied", path.display())]
    NotAFile {
        /// The source.
        path: PathBuf,
    },
    /// The destination is to be a folder but is none.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// The destination.
        path: PathBuf,
    },
    /// Source and destination are one file.
    #[error("{} and {} are the same file", from.display(), to.display())]
    SameFile {
        /// The source.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
    },
    /// What was read back is not what was copied.
    #[error("what was written to {} has the digest {actual}, but {expected} was read from the source", path.display())]
    Mismatch {
        /// The partial copy.
        path: PathBuf,
        /// The digest of what was read from the source.
        expected: Digest,
        /// The digest of what was read back.
        actual: Digest,
    },
    /// The source was written to meanwhile.
    #[error("{} changed while it was copied", path.display())]
    Changed {
        /// The source.
        path: PathBuf,
    },
    /// The source is a bundle, but a damaged one: the copy is as well.
    #[error("{} is a damaged bundle: {first}{}", path.display(), more(*count))]
    Damaged {
        /// The source.
        path: PathBuf,
        /// How many things are wrong.
        count: usize,
        /// The first of them.
        first: String,
        /// Of what kind it is.
        code: Code,
    },
}

impl Error {
    /// What is wrong with the packed file that was copied from `source`.
    pub(super) fn of_packed(source: &Path, PackedFlaws { count, first, code }: PackedFlaws) -> Self {
        Self::Damaged { path: source.to_owned(), count, first, code }
    }
}

fn more(count: usize) -> String {
    if count > 1 { format!(", and {} findings more", count - 1) } else { String::new() }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Bundle(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::NotAFile { .. } | Self::SameFile { .. } => Code::UsageArgument,
            Self::NoFolder { .. } => Code::IoWrite,
            Self::Mismatch { .. } | Self::Changed { .. } => Code::CopyMismatch,
            Self::Damaged { code, .. } => *code,
        }
    }
}

/// Copies a bundle. Run again after a break it goes on where that one stopped, for what is there is compared with the source.
///
/// # Errors
/// See [`Error`]; the source is untouched then, and nothing stands under the final name.
pub async fn copy(request: Request, progress: &Progress) -> Result<Report, Error> {
    copy_read(request, &ReadSettings::default(), progress).await
}

/// As [`copy`], where packed files are read with `read`.
pub(super) async fn copy_read(request: Request, read: &ReadSettings, progress: &Progress) -> Result<Report, Error> {
    let told = progress.clone();
    let (request, there) = off_reactor({
        let told = told.clone();
        move || {
            let there = already(&request, &told)?;
            Ok::<_, Error>((request, there))
        }
    })
    .await?;
    if let Some(mut report) = there {
        if Reader::is_bundle(&report.path)? {
            report.bundle = Some(check_bundle(&report.path, &request.source, progress).await?);
        } else {
            (report.bundle, report.packed) = check_packed(&report.path, &request.source, read, progress).await?.unzip();
        }
        remove_source(&request)?;
        return Ok(report);
    }
    let (job, digest, reused, sealed) = off_reactor(move || {
        let job = Job::open(request, told)?;
        let (digest, reused) = job.carry()?;
        job.settle()?;
        // The seal of a bundle of ours fixes every byte of it: verifying reads the copy back, on all cores.
        let sealed = Reader::is_bundle(job.partial.path())?;
        if !sealed {
            job.read_back(digest)?;
        }
        Ok::<_, Error>((job, digest, reused, sealed))
    })
    .await?;
    let (copied, source) = (job.partial.path(), &job.request.source);
    let (bundle, packed) = if sealed {
        (Some(check_bundle(copied, source, progress).await?), None)
    } else {
        check_packed(copied, source, read, progress).await?.unzip()
    };
    let report = off_reactor(move || job.publish(digest, bundle, reused)).await?;
    Ok(Report { packed, ..report })
}

/// A copy under way.
struct Job {
    request: Request,
    from: File,
    meta: Metadata,
    partial: PartialFile,
    /// Bytes that an earlier run left in it.
    there: u64,
    progress: Progress,
    /// What observers know the file by: it has no digest before it was read.
    token: Digest,
}

impl Job {
    fn open(request: Request, progress: Progress) -> Result<Self, Error> {
        let source = &request.source;
        let meta = fs::metadata(source).map_err(bundle::Error::read(source))?;
        if !meta.is_file() {
            return Err(Error::NotAFile { path: source.clone() });
        }
        let goal = goal(&request)?;
        if fs::metadata(&goal).is_ok_and(|found| found.dev() == meta.dev() && found.ino() == meta.ino()) {
            return Err(Error::SameFile { from: source.clone(), to: goal });
        }
        let from = File::open(source).map_err(bundle::Error::read(source))?;
        let partial = PartialFile::open(&goal, request.overwrite)?;
        // Reserving makes the file as long as it will be.
        let there = partial.file().metadata().map_err(bundle::Error::read(partial.path()))?.len();
        partial.reserve(meta.len())?;
        let token = Digest::sha256(goal.as_os_str().as_encoded_bytes());
        Ok(Self { request, from, meta, partial, there, progress, token })
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
        let now = fs::metadata(&self.request.source).map_err(bundle::Error::read(&self.request.source))?;
        let same = |a: &Metadata, b: &Metadata| a.len() == b.len() && a.mtime() == b.mtime() && a.ino() == b.ino();
        if !same(&now, &self.meta) {
            return Err(Error::Changed { path: self.request.source.clone() });
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
            self.from.read_exact_at(theirs, at).map_err(bundle::Error::read(&self.request.source))?;
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
                    // The receiver is gone at the end, and that is no error.
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
                    outcome = Err(bundle::Error::read(&self.request.source)(error).into());
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

    /// Brings the copy to the medium, and drops it from memory as far as the system lets us: what is read after this comes
    /// from there.
    fn settle(&self) -> Result<(), Error> {
        let (file, path, size) = (self.partial.file(), self.partial.path(), self.meta.len());
        file.set_len(size).and_then(|()| disk::settle(file)).map_err(bundle::Error::write(path))?;
        self.progress.tell(Event::Phase(Phase::Verifying));
        Ok(())
    }

    /// Reads the copy back and compares.
    fn read_back(&self, expected: Digest) -> Result<(), Error> {
        let (file, path, size) = (self.partial.file(), self.partial.path(), self.meta.len());
        self.progress.tell(Event::Planned { blobs: 1, bytes: size, present: 0 });
        self.progress.tell(Event::Started { blob: self.token, size });
        let tell = |bytes| self.progress.tell(Event::Advanced { blob: self.token, bytes });
        let hasher = disk::hash_at(file, Algorithm::Sha256, 0, size, &mut Vec::new(), tell);
        let hasher = hasher.map_err(bundle::Error::read(path))?;
        let actual = hasher.unwrap_or_else(|| Hasher::new(Algorithm::Sha256)).finish();
        if actual != expected {
            return Err(Error::Mismatch { path: path.to_owned(), expected, actual });
        }
        self.progress.tell(Event::Finished { blob: self.token });
        Ok(())
    }

    fn publish(self, digest: Digest, bundle: Option<Digest>, reused: u64) -> Result<Report, Error> {
        self.progress.tell(Event::Phase(Phase::Publishing));
        let bytes = self.meta.len();
        let path = self.partial.publish(bytes)?;
        remove_source(&self.request)?;
        Ok(Report { path, bytes, digest, reused, bundle, packed: None, already_there: false })
    }
}

fn remove_source(Request { source, delete_source, .. }: &Request) -> Result<(), Error> {
    if *delete_source {
        fs::remove_file(source).map_err(bundle::Error::write(source))?;
    }
    Ok(())
}

/// Reads back a bundle of ours, all of which must verify: a faithful copy of a damaged bundle is of no use. Gives its id.
async fn check_bundle(path: &Path, source: &Path, progress: &Progress) -> Result<Digest, Error> {
    let damaged = |count, first: String, code| Error::Damaged { path: source.to_owned(), count, first, code };
    let reader = Reader::open(path).await.map_err(|error| damaged(1, error.to_string(), error.code()))?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let verification = verify::verify(&reader, jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(reader.id()),
        Some(first) => Err(damaged(verification.findings.len(), first.message.clone(), first.code)),
    }
}

/// Reads back a packed file.
async fn check_packed(
    path: &Path,
    source: &Path,
    read: &ReadSettings,
    progress: &Progress,
) -> Result<Option<PackedProof>, Error> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let object = storage::open(&Location::Path(path.to_owned()), &Settings::default())?;
    let checked = check_copy(Arc::new(Pinned::open(object).await?), read, jobs, progress).await;
    checked.map_err(|flaws| Error::of_packed(source, flaws))
}

/// The report of a copy whose goal has the content of the source already, all of which is compared.
fn already(request: &Request, progress: &Progress) -> Result<Option<Report>, Error> {
    if request.overwrite {
        return Ok(None);
    }
    // What is wrong with the names is reported when the copy begins.
    let (source, Ok(path)) = (&request.source, goal(request)) else { return Ok(None) };
    let same_kind = |a: &Metadata, b: &Metadata| a.is_file() && b.is_file() && a.len() == b.len();
    let (Ok(from), Ok(to)) = (fs::metadata(source), fs::symlink_metadata(&path)) else { return Ok(None) };
    if !same_kind(&from, &to) || (from.dev(), from.ino()) == (to.dev(), to.ino()) {
        return Ok(None);
    }
    progress.tell(Event::Phase(Phase::Verifying));
    let hash = |path: &Path| {
        let file = File::open(path).map_err(bundle::Error::read(path))?;
        let hasher = disk::hash_at(&file, Algorithm::Sha256, 0, from.len(), &mut Vec::new(), |_| {});
        Ok::<_, Error>(hasher.map_err(bundle::Error::read(path))?.map(Hasher::finish))
    };
    match hash(&path)? {
        Some(digest) if hash(source)? == Some(digest) => {
            let (bytes, bundle, packed) = (from.len(), None, None);
            Ok(Some(Report { path, bytes, digest, reused: bytes, bundle, packed, already_there: true }))
        }
        _ => Ok(None),
    }
}

fn chunk_size(left: u64) -> usize {
    usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)
}

/// The file that the copy becomes.
fn goal(request: &Request) -> Result<PathBuf, Error> {
    let destination = &request.destination;
    let named_folder = destination.as_os_str().as_encoded_bytes().ends_with(b"/");
    if !named_folder && !destination.is_dir() {
        let folder = name::folder_of(destination);
        return if folder.is_dir() { Ok(destination.clone()) } else { Err(no_folder(folder)) };
    }
    let name = request.source.file_name().ok_or_else(|| Error::NotAFile { path: request.source.clone() })?;
    if destination.is_dir() { Ok(destination.join(name)) } else { Err(no_folder(destination)) }
}

fn no_folder(path: &Path) -> Error {
    Error::NoFolder { path: path.to_owned() }
}
