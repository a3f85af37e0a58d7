//! Moving a bundle where a storage is at one end or both: in parts, by the storage itself where it can.
//!
//! The source passes by here in any case, and is proven before the part leaves in which a blob ends; the storage holds each
//! part against our checksum as it arrives. So what a commit makes visible is proven. Then the far end is read back, before
//! the commit where that can be done.

mod proof;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) use self::proof::hash;
use self::proof::{Proof, prove};
use super::{
    copy::Error,
    packed_copy::PackedCheck,
    send::{self, FilePart, SendMode, Sending, Sent, Stop},
};
use crate::{
    bundle::{Format, Layout, Reader},
    content::{self, Code, Fault},
    files::{self, disk, name},
    oci::Digest,
    pack::ReadSettings,
    progress::{Event, Phase, Progress},
    storage::{
        self, Error as StorageError, Finish, Location, Object, Parts, Pinned, Settings, Stat, Upload, UploadSpec, parts,
    },
};

/// Bytes of a part that one storage takes from another: nothing of it is kept here.
const TAKEN: u64 = 64 << 20;

/// The metadata key by which a later run knows that an object is its own copy.
const MARK: &str = "airlift_copy";

/// What to copy, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the bundle is.
    pub from: Location,
    /// Where it goes: a name, or a folder, container or bucket, in which it keeps its name.
    pub to: Location,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// Whether the source goes once the copy has been proven.
    pub delete_source: bool,
    /// Whether the provider's own SHA-256 proves the far end, where it has one; otherwise the copy is read back.
    pub trust_checksums: bool,
    /// Parts in memory at once; at least one.
    pub jobs: usize,
    /// How a packed file is read.
    #[doc(hidden)]
    pub read: ReadSettings,
}

/// A copy that was proven.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Where it is.
    pub location: Location,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// The bundle's id; every byte of the copy was held against it.
    pub bundle: Option<Digest>,
    /// SHA-256 of a file that is not a bundle of ours.
    pub digest: Option<Digest>,
    /// How the packed file was checked, where it is one.
    #[doc(hidden)]
    pub packed: Option<PackedCheck>,
    /// Whether all of it was there under its name already.
    pub already_there: bool,
    /// Whether the far end was proven by the provider's own SHA-256 and not read back.
    pub attested: bool,
}

/// Copies a bundle. Run again after a break it resumes with the parts that are there.
///
/// # Errors
/// See [`Error`]; the source is untouched then. A copy that cannot be proven is removed.
pub async fn relay(request: &Request, settings: &Settings, progress: &Progress) -> Result<Report, Error> {
    let source = Pinned::open(storage::open(&request.from, settings)?).await?;
    relay_version(source, request, settings, progress).await
}

/// As [`relay`], of the version of the source that was looked at before.
pub(super) async fn relay_version(
    source: Pinned,
    request: &Request,
    settings: &Settings,
    progress: &Progress,
) -> Result<Report, Error> {
    let to = goal(request);
    if to == request.from {
        let path = || PathBuf::from(to.to_string());
        return Err(Error::SameFile { from: path(), to: path() });
    }
    let settings = &Settings { attest: request.trust_checksums, ..settings.clone() };
    if let Location::Path(path) = &to {
        check_limit(path, source.stat().size)?;
    }
    let target = storage::open(&to, settings)?;
    let reader = Reader::open_on(Arc::new(source.clone())).await.ok().filter(|one| one.format() == Format::Bundle);
    let copy = Copy { request, source, reader, target, progress };
    let taken = copy.target.reaches(&**copy.source.object());
    let carried = match copy.carry(taken).await {
        Err(Error::Storage(error)) if taken && is_refusal(&error) => {
            tracing::info!(%error, "the storage does not take parts from the source; they go through this machine");
            copy.carry(false).await?
        }
        carried => carried?,
    };
    let Carried { reused, learnt, proof, by } = carried;
    let proof = match proof {
        Some(proof) => proof,
        None => copy.read_back(learnt, by).await?,
    };
    if request.delete_source {
        copy.source.delete().await?;
    }
    let attested = matches!(proof, Proof::Attested);
    let (digest, inside) = match proof {
        Proof::Digest(digest, packed) => (Some(digest), packed),
        _ => (learnt.filter(|_| copy.reader.is_none()), None),
    };
    let (inside, packed) = inside.unzip();
    let bundle = copy.reader.as_ref().map(Reader::id).or(inside);
    let bytes = copy.source.stat().size;
    let already_there = by != WrittenBy::ThisRun;
    Ok(Report { location: to, bytes, reused, bundle, digest, packed, already_there, attested })
}

/// Whether an object says that it is the volume of `layout`.
fn is_said(stat: &Stat, layout: &Layout) -> bool {
    send::is_volume(layout) && send::is_same(stat, layout)
}

/// Checks that a file of `size` bytes can be at `path`, before the first of them is written.
fn check_limit(path: &Path, size: u64) -> Result<(), Error> {
    let folder = name::folder_of(path);
    // Where there is no such folder yet, it is made later, and its file system is not known yet.
    let Ok(Some(limit)) = disk::largest_file(folder) else { return Ok(()) };
    if size <= limit {
        return Ok(());
    }
    Err(files::Error::FileLimit { path: path.to_owned(), needed: size, limit }.into())
}

/// Whether a storage may refuse so because it cannot take parts, as against the source being gone or changed.
const fn is_refusal(error: &StorageError) -> bool {
    !matches!(error, StorageError::Changed { .. } | StorageError::Exists { .. } | StorageError::Busy { .. })
}

/// The object that the copy becomes.
fn goal(request: &Request) -> Location {
    let name = match &request.from {
        Location::Path(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        Location::Azure(azure) => azure.name.clone(),
        Location::S3(bucket) | Location::Gcs(bucket) => bucket.key.clone(),
        Location::Standard => String::new(),
    };
    let name = name.rsplit('/').next().unwrap_or_default();
    let is_folder = match &request.to {
        Location::Path(path) => path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/"),
        Location::Azure(azure) => azure.name.is_empty(),
        Location::S3(bucket) | Location::Gcs(bucket) => bucket.key.is_empty(),
        Location::Standard => false,
    };
    if is_folder { request.to.join(name) } else { request.to.clone() }
}

/// A copy under way.
struct Copy<'a> {
    request: &'a Request,
    source: Pinned,
    /// Reads the source, where it is a bundle of ours.
    reader: Option<Reader>,
    target: Arc<dyn Object>,
    progress: &'a Progress,
}

/// What was put, or found there.
struct Carried {
    reused: u64,
    /// The SHA-256 of a file that is not a bundle, where it passed by here.
    learnt: Option<Digest>,
    /// How it was proven, if it is.
    proof: Option<Proof>,
    by: WrittenBy,
}

/// Who wrote what is in the place of the copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WrittenBy {
    ThisRun,
    EarlierRun,
    /// It may be something else.
    Unknown,
}

impl Copy<'_> {
    async fn carry(&self, taken: bool) -> Result<Carried, Error> {
        let Self { request, source, target, progress, .. } = self;
        let size = source.stat().size;
        let wish = if taken { TAKEN } else { parts::USUAL };
        let parts = Parts::of(size, wish, &target.limits(), target.location())?;
        let from = source.object().location();
        let what = format!("copy\n{from}\n{}\n{size}", source.stat().version);
        let identity = Digest::sha256(format!("{what}\n{}\n{taken}", parts.size()).as_bytes());
        let layout = self.reader.as_ref().and_then(Reader::layout);
        let mut metadata: BTreeMap<String, String> = source.stat().metadata.clone();
        metadata.extend(layout.map(send::metadata).unwrap_or_default());
        // Not of the parts: whichever way they came, it is the copy.
        metadata.insert(MARK.to_owned(), Digest::sha256(what.as_bytes()).short());
        match target.stat().await {
            // A run that was killed after its commit.
            Ok(stat) if stat.size == size && stat.metadata.get(MARK) == metadata.get(MARK) => {
                return Ok(Carried { reused: size, learnt: None, proof: None, by: WrittenBy::EarlierRun });
            }
            // The very same content is no conflict; all of it is read to see that.
            Ok(stat) if stat.size == size && (!request.overwrite || layout.is_some_and(|one| is_said(&stat, one))) => {
                return Ok(Carried { reused: size, learnt: None, proof: None, by: WrittenBy::Unknown });
            }
            Ok(_) if !request.overwrite => {
                return Err(StorageError::Exists { what: target.location().to_string() }.into());
            }
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let upload: Arc<dyn Upload> = target.upload(&UploadSpec { identity, parts, metadata }).await?.into();
        let pieces = layout.map_or_else(|| FilePart::of_file(size, identity), FilePart::of_bundle);
        let way = if taken { SendMode::Take(source.clone()) } else { SendMode::Put };
        let supply = send::PinnedObject { source: source.clone(), jobs: request.jobs, progress };
        let (blobs, bytes) = layout.map_or((1, size), |layout| (layout.blobs().len() as u64, layout.blob_bytes()));
        let mut sending = Sending::new(&supply, pieces, Arc::clone(&upload), way, parts, progress).jobs(request.jobs);
        let reused = sending.present();
        progress.tell(Event::Phase(Phase::Transferring));
        progress.tell(Event::Planned { blobs, bytes, present: reused.min(bytes) });
        let sent = sending.run().await.map_err(|stop| self.stopped(stop))?;
        self.finish(&*upload, &sent).await.map(|proof| Carried {
            reused,
            learnt: sent.learnt,
            proof,
            by: WrittenBy::ThisRun,
        })
    }

    /// Proves what can be proven before the commit, and commits.
    async fn finish(&self, upload: &dyn Upload, sent: &Sent) -> Result<Option<Proof>, Error> {
        let mut proof = None;
        if let Some(unfinished) = upload.unfinished().await? {
            let unfinished = Pinned::open(unfinished).await?;
            match self.prove(&unfinished, sent.learnt).await {
                Err(error @ (Error::Mismatch { .. } | Error::Damaged { .. })) => {
                    upload.abandon().await?;
                    return Err(error);
                }
                proven => proof = Some(proven?),
            }
        }
        self.progress.tell(Event::Phase(Phase::Publishing));
        upload.commit(&sent.notes, &Finish { overwrite: self.request.overwrite, md5: Some(sent.md5) }).await?;
        if proof.is_none() && self.request.trust_checksums {
            match upload.attest(&sent.notes).await? {
                Some(true) => return Ok(Some(Proof::Attested)),
                // What is wrong with it is found by reading it.
                Some(false) => tracing::warn!("the storage has another checksum than what was sent; it is read back"),
                None => tracing::info!("the storage keeps no checksum as strong as ours; the copy is read back"),
            }
        }
        Ok(proof)
    }

    /// Proves what is there. What this copy wrote and turns out to be something else is removed.
    async fn read_back(&self, learnt: Option<Digest>, by: WrittenBy) -> Result<Proof, Error> {
        let copied = Pinned::open(Arc::clone(&self.target)).await?;
        match (self.prove(&copied, learnt).await, by) {
            (Err(Error::Mismatch { .. } | Error::Damaged { .. }), WrittenBy::Unknown) if !self.request.overwrite => {
                Err(StorageError::Exists { what: self.target.location().to_string() }.into())
            }
            (
                Err(error @ (Error::Mismatch { .. } | Error::Damaged { .. })),
                WrittenBy::ThisRun | WrittenBy::EarlierRun,
            ) => {
                copied.delete().await?;
                Err(error)
            }
            (proof, _) => proof,
        }
    }

    async fn prove(&self, copied: &Pinned, learnt: Option<Digest>) -> Result<Proof, Error> {
        let reading = (&self.request.read, self.request.jobs);
        prove(&self.source, self.reader.as_ref(), copied, learnt, reading, self.progress).await
    }

    fn stopped(&self, stop: Stop) -> Error {
        let path = PathBuf::from(self.source.object().location().to_string());
        match stop {
            Stop::Storage(error) => error.into(),
            Stop::Bundle(error) => Error::Damaged { path, count: 1, first: error.to_string(), code: error.code() },
            Stop::Blob(digest, error) => {
                let code = match &error {
                    content::Error::DigestMismatch { .. } => Code::BundleDigestMismatch,
                    error => error.code(),
                };
                Error::Damaged { path, count: 1, first: format!("blob {digest}: {error}"), code }
            }
        }
    }
}
