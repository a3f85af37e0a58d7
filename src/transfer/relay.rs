//! Moving a bundle where a storage is at one end or both: in parts, by the storage itself where it can, and proven at
//! the far end.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};

use super::{copy::Error, verify};
use crate::{
    bundle::{Format, Reader, disk::off_reactor},
    content::Fault,
    oci::{Algorithm, Digest, Hasher},
    progress::{Event, Phase, Progress},
    storage::{
        self, Draft, Error as StorageError, Finish, Location, Note, Object, Parts, Pinned, Settings, Upload, parts,
    },
};

/// Bytes of a part that one storage takes from another: nothing of it is held here.
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
    /// Parts on their way at once; at least one.
    pub jobs: usize,
}

/// A copy that was proven.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where it is.
    pub location: Location,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// The bundle's id; every byte of the copy was held against it.
    pub bundle: Option<Digest>,
    /// SHA-256 of what is no bundle of ours, read back and held against the source.
    pub digest: Option<Digest>,
}

/// Copies a bundle. Run again after a break it goes on with the parts that are there.
///
/// # Errors
/// See [`Error`]; the source is untouched then. A copy that cannot be proven is removed.
pub async fn relay(request: &Request, settings: &Settings, progress: &Progress) -> Result<Report, Error> {
    let to = goal(request);
    if to == request.from {
        let path = || PathBuf::from(to.to_string());
        return Err(Error::SameFile { from: path(), to: path() });
    }
    let source = Pinned::open(storage::open(&request.from, settings)?).await?;
    let target = storage::open(&to, settings)?;
    let taken = target.reaches(&**source.object());
    let carried = match carry(request, &source, &target, taken, progress).await {
        Err(Error::Storage(error)) if taken && is_refusal(&error) => {
            tracing::info!(%error, "the storage does not take parts from the source; they go through this machine");
            carry(request, &source, &target, false, progress).await?
        }
        carried => carried?,
    };
    let copied = Pinned::open(Arc::clone(&target)).await?;
    let proof = match prove(&source, &copied, &carried, request.jobs, progress).await {
        Err(error @ (Error::Mismatch { .. } | Error::Damaged { .. })) => {
            copied.delete().await?;
            return Err(error);
        }
        proof => proof?,
    };
    if request.delete_source {
        source.delete().await?;
    }
    let (bundle, digest) = match proof {
        Proof::Bundle(id) => (Some(id), None),
        Proof::Digest(digest) => (None, Some(digest)),
    };
    Ok(Report { location: to, bytes: source.stat().size, reused: carried.reused, bundle, digest })
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

/// What was put, or found there.
struct Carried {
    parts: Parts,
    /// The SHA-256 of each part that went through this machine; zeros where the storage took it by itself.
    notes: Vec<Note>,
    reused: u64,
}

async fn carry(
    request: &Request,
    source: &Pinned,
    target: &Arc<dyn Object>,
    taken: bool,
    progress: &Progress,
) -> Result<Carried, Error> {
    let size = source.stat().size;
    let wish = if taken { TAKEN } else { parts::USUAL };
    let parts = Parts::of(size, wish, &target.limits(), target.location())?;
    let from = source.object().location();
    let what = format!("copy\n{from}\n{}\n{size}", source.stat().version);
    let identity = Digest::sha256(format!("{what}\n{}\n{taken}", parts.size()).as_bytes());
    let mut metadata: BTreeMap<String, String> = source.stat().metadata.clone();
    // Not of the parts: whichever way they came, it is the copy.
    metadata.insert(MARK.to_owned(), Digest::sha256(what.as_bytes()).short());
    match target.stat().await {
        // A run that was killed after its commit.
        Ok(stat) if stat.size == size && stat.metadata.get(MARK) == metadata.get(MARK) => {
            return Ok(Carried { parts, notes: Vec::new(), reused: size });
        }
        Ok(_) if !request.overwrite => return Err(StorageError::Exists { what: target.location().to_string() }.into()),
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    let upload: Arc<dyn Upload> = target.upload(&Draft { identity, parts, metadata }).await?.into();
    let mut notes: BTreeMap<u32, Note> = upload.present().iter().copied().collect();
    let reused = notes.keys().map(|&number| parts.range(number)).map(|range| range.end - range.start).sum();
    progress.tell(Event::Phase(Phase::Transferring));
    progress.tell(Event::Planned { blobs: 1, bytes: size, present: reused });
    progress.tell(Event::Started { blob: identity, size: size - reused });
    let missing: Vec<u32> = (0..parts.count()).filter(|number| !notes.contains_key(number)).collect();
    let one = |number: u32| {
        let (source, upload, progress) = (source.clone(), Arc::clone(&upload), progress.clone());
        async move {
            let note = if taken {
                take(&source, &*upload, parts, number).await?
            } else {
                pass(&source, &*upload, parts, number).await?
            };
            let range = parts.range(number);
            progress.tell(Event::Advanced { blob: identity, bytes: range.end - range.start });
            Ok::<_, Error>((number, note))
        }
    };
    let mut moving = stream::iter(missing).map(one).buffer_unordered(request.jobs.max(1));
    while let Some((number, note)) = moving.try_next().await? {
        notes.insert(number, note);
    }
    drop(moving);
    progress.tell(Event::Finished { blob: identity });
    let notes: Vec<Note> = notes.into_values().collect();
    progress.tell(Event::Phase(Phase::Publishing));
    upload.commit(&notes, &Finish { overwrite: request.overwrite, md5: source.stat().md5 }).await?;
    Ok(Carried { parts, notes, reused })
}

/// The storage fetches the part itself.
async fn take(source: &Pinned, upload: &dyn Upload, parts: Parts, number: u32) -> Result<Note, Error> {
    let note = Note([0; parts::NOTE]);
    let range = parts.range(number);
    let Some(taker) = upload.takes_from() else {
        let what = source.object().location().to_string();
        return Err(StorageError::Protocol { what, reason: "the target takes from no source".to_owned() }.into());
    };
    taker.take(number, note, &**source.object(), &source.stat().version, range).await?;
    Ok(note)
}

/// The part goes through this machine.
async fn pass(source: &Pinned, upload: &dyn Upload, parts: Parts, number: u32) -> Result<Note, Error> {
    let range = parts.range(number);
    let mut body = BytesMut::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
    let mut chunks = source.chunks(range).await?;
    while let Some(chunk) = chunks.try_next().await? {
        body.extend_from_slice(&chunk);
    }
    let body: Bytes = body.freeze();
    let hashed = body.clone();
    let digest = off_reactor(move || Digest::sha256(&hashed)).await;
    let note = note_of(&digest);
    upload.put(number, note, body).await?;
    Ok(note)
}

fn note_of(digest: &Digest) -> Note {
    let mut note = [0; parts::NOTE];
    // The first 48 of its 64 hex digits: 192 bits, which nobody collides.
    note.copy_from_slice(&digest.hex().as_bytes()[..parts::NOTE]);
    Note(note)
}

/// How a copy was proven.
enum Proof {
    Bundle(Digest),
    Digest(Digest),
}

async fn prove(
    source: &Pinned,
    copied: &Pinned,
    carried: &Carried,
    jobs: usize,
    progress: &Progress,
) -> Result<Proof, Error> {
    if copied.stat().size != source.stat().size {
        let what = copied.object().location().to_string();
        return Err(StorageError::Protocol { what, reason: "the copy has another size".to_owned() }.into());
    }
    progress.tell(Event::Phase(Phase::Verifying));
    // The id of a sealed bundle fixes every byte of it, so reading the copy once proves it.
    let theirs = Reader::open_on(Arc::new(source.clone())).await.ok();
    if let Some(theirs) = theirs.filter(|reader| reader.format() == Format::Bundle) {
        return prove_bundle(source, copied, &theirs, jobs, progress).await;
    }
    prove_bytes(source, copied, carried).await.map(Proof::Digest)
}

async fn prove_bundle(
    source: &Pinned,
    copied: &Pinned,
    theirs: &Reader,
    jobs: usize,
    progress: &Progress,
) -> Result<Proof, Error> {
    let path = PathBuf::from(source.object().location().to_string());
    let damaged = |count, first: String, code| Error::Damaged { path: path.clone(), count, first, code };
    let ours = Reader::open_on(Arc::new(copied.clone())).await;
    let ours = ours.map_err(|error| damaged(1, error.to_string(), error.code()))?;
    if ours.id() != theirs.id() {
        let path = PathBuf::from(copied.object().location().to_string());
        return Err(Error::Mismatch { path, expected: theirs.id(), actual: ours.id() });
    }
    let verification = verify::verify(&ours, jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(Proof::Bundle(ours.id())),
        Some(first) => Err(damaged(verification.findings.len(), first.message.clone(), first.code)),
    }
}

/// Reads the copy and holds it against what was sent; where that is not known, against the source.
async fn prove_bytes(source: &Pinned, copied: &Pinned, carried: &Carried) -> Result<Digest, Error> {
    let mut whole = Hasher::new(Algorithm::Sha256);
    let unknown = Note([0; parts::NOTE]);
    for number in 0..carried.parts.count() {
        let range = carried.parts.range(number);
        let actual = hash(copied, range.clone(), Some(&mut whole)).await?;
        let known = usize::try_from(number).ok().and_then(|number| carried.notes.get(number)).copied();
        let expected = match known {
            Some(note) if note != unknown && note == note_of(&actual) => continue,
            _ => hash(source, range, None).await?,
        };
        if expected != actual {
            let path = PathBuf::from(copied.object().location().to_string());
            return Err(Error::Mismatch { path, expected, actual });
        }
    }
    Ok(whole.finish())
}

async fn hash(pinned: &Pinned, range: std::ops::Range<u64>, mut whole: Option<&mut Hasher>) -> Result<Digest, Error> {
    let mut part = Hasher::new(Algorithm::Sha256);
    let mut chunks = pinned.chunks(range).await?;
    while let Some(chunk) = chunks.try_next().await? {
        part.update(&chunk);
        if let Some(whole) = &mut whole {
            whole.update(&chunk);
        }
    }
    Ok(part.finish())
}
