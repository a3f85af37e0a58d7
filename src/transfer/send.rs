//! Export straight to a storage: the bytes of the planned file flow past once, in order, and leave in parts.
//!
//! Blobs are fetched ahead of where the file has got to, and parts are sent while the next ones fill, so memory is a few
//! parts, whatever the size of the bundle. With each part goes a note of the hashes' states at its end. A later run reads
//! the notes and goes on in the middle of a blob without having read its beginning: the digest still covers all of it. A
//! part in which a blob ends is sent only after that blob was proven, so what a later run finds complete is proven too.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, atomic::AtomicU64},
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use md5::{
    Digest as _, Md5,
    digest::common::hazmat::{SerializableState, SerializedState},
};
use tokio::{sync::mpsc, task::JoinSet};

use super::{execute::metered, plan::Plan};
use crate::{
    bundle::{Layout, Place},
    content::{self, ByteStream, Source},
    oci::{Algorithm, Descriptor, Digest, Hasher, digest::STATE},
    progress::{Event, Progress},
    storage::{self, Draft, Finish, Note, Object, Parts, Stat, Upload, parts},
};

/// Blobs that are fetched beside the one that is being sent.
const AHEAD: usize = 3;

/// Chunks of a blob that wait in memory until the file has got to it.
const WAITING: usize = 16;

/// How often a blob is tried whose bytes came wrong.
const ATTEMPTS: u32 = 2;

/// The metadata key of the bundle's id.
const BUNDLE: &str = "airlift_bundle";

/// What a bundle is committed with. Azure's own importer looks for the category.
fn metadata(layout: &Layout) -> BTreeMap<String, String> {
    let set = [
        ("category", "acr-transfer-blob".to_owned()),
        ("airlift_format", layout.facts().version.to_string()),
        (BUNDLE, layout.id().to_string()),
    ];
    set.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Whether `stat` is that of a bundle that was sent by this program.
pub(super) fn is_bundle(stat: &Stat) -> bool {
    stat.metadata.contains_key(BUNDLE)
}

/// Whether `stat` is the very bundle of `layout`: a run that was killed after its commit ends well when it is run again.
pub(super) fn is_same(stat: &Stat, layout: &Layout) -> bool {
    stat.size == layout.total() && stat.metadata.get(BUNDLE) == Some(&layout.id().to_string())
}

/// Why sending stopped.
pub(super) enum Stop {
    /// A blob cannot be had.
    Blob(Digest, content::Error),
    /// The storage failed.
    Storage(storage::Error),
}

impl From<storage::Error> for Stop {
    fn from(error: storage::Error) -> Self {
        Self::Storage(error)
    }
}

/// A bundle on its way into a storage.
pub(super) struct Sending<'a> {
    plan: &'a Plan,
    layout: &'a Layout,
    upload: Arc<dyn Upload>,
    parts: Parts,
    /// The parts that are there, each under the note it was put with.
    notes: Vec<Option<Note>>,
    jobs: usize,
    progress: &'a Progress,
    moved: &'a Arc<AtomicU64>,
}

impl<'a> Sending<'a> {
    /// Begins, or finds what an earlier run left.
    pub(super) async fn open(
        plan: &'a Plan,
        layout: &'a Layout,
        object: &dyn Object,
        jobs: usize,
        progress: &'a Progress,
        moved: &'a Arc<AtomicU64>,
    ) -> Result<Self, Stop> {
        let parts = Parts::of(layout.total(), parts::USUAL, &object.limits(), object.location())?;
        let identity = format!("export\n{}\n{}\n{}", layout.id(), parts.total(), parts.size());
        let draft = Draft { identity: Digest::sha256(identity.as_bytes()), parts, metadata: metadata(layout) };
        let upload: Arc<dyn Upload> = object.upload(&draft).await?.into();
        let mut found: HashMap<u32, Vec<Note>> = HashMap::new();
        for &(number, note) in upload.present() {
            found.entry(number).or_default().push(note);
        }
        // Of a part that is there twice nobody knows which one those after it follow.
        let only = |number| found.get(&number).and_then(|notes| <[Note; 1]>::try_from(notes.as_slice()).ok());
        let notes = (0..parts.count()).map(|number| only(number).map(|[note]| note)).collect();
        Ok(Self { plan, layout, upload, parts, notes, jobs: jobs.max(1), progress, moved })
    }

    /// Bytes that need not be sent again.
    pub(super) fn present(&self) -> u64 {
        let first = self.resume_before(self.leading());
        u64::from(first).saturating_mul(self.parts.size()).min(self.parts.total())
    }

    /// Sends what is missing and commits.
    pub(super) async fn finish(mut self, overwrite: bool) -> Result<Stat, Stop> {
        let mut first = self.resume_before(self.leading());
        let mut tries: HashMap<Digest, u32> = HashMap::new();
        let md5 = loop {
            match self.pass(first, &tries).await {
                Ok(md5) => break md5,
                Err(Stop::Blob(digest, error)) => {
                    let count = tries.entry(digest).or_default();
                    *count += 1;
                    let wrong = content::Fault::code(&error).class() == content::Class::Unverified;
                    let Some(place) = self.layout.place(&digest).filter(|_| wrong && *count < ATTEMPTS) else {
                        return Err(Stop::Blob(digest, error));
                    };
                    // Its first bytes may be those of an earlier run, and wrong as well.
                    self.progress.tell(Event::Abandoned { blob: digest });
                    first = self.resume_before(self.parts.at(place.offset));
                }
                Err(stop) => return Err(stop),
            }
        };
        let notes: Vec<Note> = self.notes.iter().copied().flatten().collect();
        let finish = Finish { overwrite, md5: Some(md5) };
        Ok(self.upload.commit(&notes, &finish).await?)
    }

    /// How many parts are there from the first one on.
    fn leading(&self) -> u32 {
        let there = self.notes.iter().take_while(|note| note.is_some()).count();
        u32::try_from(there).unwrap_or(0)
    }

    /// The last part, not behind `wanted`, at whose beginning the state of every hash is known.
    fn resume_before(&self, wanted: u32) -> u32 {
        let mut number = wanted.min(self.parts.count());
        while number > 0 && self.state_before(number).is_none() {
            number -= 1;
        }
        number
    }

    /// The hashes' states at the beginning of part `number`.
    fn state_before(&self, number: u32) -> Option<(Md5, Option<Hasher>)> {
        let Some(before) = number.checked_sub(1) else { return Some((Md5::new(), None)) };
        let note = (*self.notes.get(usize::try_from(before).ok()?)?)?;
        let position = self.parts.range(before).end;
        let (sha, md5) = note.0.split_at(STATE);
        let md5 = md5_at(md5.try_into().ok()?, position)?;
        let inside = self.layout.blobs().iter().find(|place| place.offset < position && position < place.end());
        let Some(place) = inside else { return Some((md5, None)) };
        // A note has no room for the state of a SHA-512.
        let fits = place.blob.digest.algorithm() == Algorithm::Sha256;
        let hasher = fits.then(|| Hasher::resume(sha.try_into().ok()?, position - place.offset)).flatten()?;
        Some((md5, Some(hasher)))
    }

    /// Everything from the beginning of part `first` on; the MD5 of the whole.
    async fn pass(&mut self, first: u32, tries: &HashMap<Digest, u32>) -> Result<[u8; 16], Stop> {
        let (md5, hasher) = self.state_before(first).unwrap_or_else(|| (Md5::new(), None));
        let position = u64::from(first).saturating_mul(self.parts.size()).min(self.parts.total());
        let known: Vec<(u32, Note)> = self.upload.present().to_vec();
        let layout = self.layout;
        let mut flow = Flow {
            upload: Arc::clone(&self.upload),
            parts: self.parts,
            known,
            jobs: self.jobs,
            number: first,
            buffer: BytesMut::new(),
            md5,
            blob: None,
            sending: JoinSet::new(),
            notes: &mut self.notes,
        };
        let rest: Vec<&Place> = layout.blobs().iter().filter(|place| place.end() > position).collect();
        let mut ahead = Ahead {
            plan: self.plan,
            progress: self.progress,
            moved: self.moved,
            tries,
            position,
            rest: rest.into(),
            open: VecDeque::new(),
        };
        let outcome = flow.run(layout, position, hasher, &mut ahead, self.progress).await;
        // A part of this pass must not arrive after one of the next.
        while let Some(sent) = flow.sending.join_next().await {
            if outcome.is_ok() {
                sent.map_err(|error| broken_task(&error))??;
            }
        }
        outcome
    }
}

fn broken_task(error: &tokio::task::JoinError) -> Stop {
    Stop::Storage(storage::Error::Protocol { what: "the upload".to_owned(), reason: error.to_string() })
}

/// The MD5 state that had taken in `taken` bytes, a multiple of 64.
fn md5_at(state: [u8; 16], taken: u64) -> Option<Md5> {
    let mut serialized = SerializedState::<Md5>::default();
    serialized[..16].copy_from_slice(&state);
    serialized[16..24].copy_from_slice(&(taken / 64).to_le_bytes());
    Md5::deserialize(&serialized).ok()
}

fn md5_state(md5: &Md5) -> [u8; 16] {
    let mut state = [0; 16];
    state.copy_from_slice(&md5.serialize()[..16]);
    state
}

/// The file flowing past: what is in the part that fills, and the hashes over what went by.
struct Flow<'a> {
    upload: Arc<dyn Upload>,
    parts: Parts,
    known: Vec<(u32, Note)>,
    jobs: usize,
    number: u32,
    buffer: BytesMut,
    md5: Md5,
    blob: Option<Passing>,
    sending: JoinSet<storage::Result<()>>,
    notes: &'a mut Vec<Option<Note>>,
}

/// The blob that is going by.
struct Passing {
    blob: Descriptor,
    hasher: Hasher,
    seen: u64,
}

impl Flow<'_> {
    async fn run(
        &mut self,
        layout: &Layout,
        position: u64,
        mut hasher: Option<Hasher>,
        ahead: &mut Ahead<'_>,
        progress: &Progress,
    ) -> Result<[u8; 16], Stop> {
        let mut blobs = layout.blobs().iter();
        for (at, (offset, bytes)) in layout.frame().enumerate() {
            // Behind the first piece, which is the head, each piece but the last ends where a blob begins.
            let skip = usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
            self.append(bytes.slice(skip..)).await?;
            let Some(place) = (at > 0).then(|| blobs.next()).flatten() else { continue };
            if place.end() <= position {
                continue;
            }
            let seen = position.saturating_sub(place.offset);
            let resumed = if seen > 0 { hasher.take() } else { None };
            let hasher = resumed.unwrap_or_else(|| Hasher::new(place.blob.digest.algorithm()));
            progress.tell(Event::Started { blob: place.blob.digest, size: place.blob.size });
            if seen > 0 {
                progress.tell(Event::Advanced { blob: place.blob.digest, bytes: seen });
            }
            self.blob = Some(Passing { blob: place.blob.clone(), hasher, seen });
            self.take(place, ahead).await?;
            progress.tell(Event::Finished { blob: place.blob.digest });
        }
        if !self.buffer.is_empty() {
            self.emit().await?;
        }
        Ok(self.md5.clone().finalize().into())
    }

    async fn take(&mut self, place: &Place, ahead: &mut Ahead<'_>) -> Result<(), Stop> {
        let digest = place.blob.digest;
        let mut chunks = ahead.next();
        if place.blob.size == 0 {
            return self.prove();
        }
        while self.blob.is_some() {
            let chunk = chunks.recv().await.unwrap_or_else(|| {
                let seen = self.blob.as_ref().map_or(0, |passing| passing.seen);
                Err(content::Error::SizeMismatch { digest, expected: place.blob.size, actual: seen })
            });
            let chunk = chunk.map_err(|error| Stop::Blob(digest, error))?;
            let left = self.blob.as_ref().map_or(0, |passing| passing.blob.size - passing.seen);
            if chunk.len() as u64 > left {
                let actual = place.blob.size - left + chunk.len() as u64;
                let error = content::Error::SizeMismatch { digest, expected: place.blob.size, actual };
                return Err(Stop::Blob(digest, error));
            }
            self.append(chunk).await?;
        }
        Ok(())
    }

    /// Takes in the next bytes of the file. Those that end a blob are looked at before any part with them is sent.
    async fn append(&mut self, mut bytes: Bytes) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let range = self.parts.range(self.number);
            let full = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let piece = bytes.split_to(bytes.len().min(full - self.buffer.len()));
            self.md5.update(&piece);
            if let Some(passing) = &mut self.blob {
                passing.hasher.update(&piece);
                passing.seen += piece.len() as u64;
                if passing.seen == passing.blob.size {
                    self.prove()?;
                }
            }
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(full);
            }
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() == full {
                self.emit().await?;
            }
        }
        Ok(())
    }

    fn prove(&mut self) -> Result<(), Stop> {
        let Some(Passing { blob, hasher, .. }) = self.blob.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == blob.digest {
            return Ok(());
        }
        Err(Stop::Blob(blob.digest, content::Error::DigestMismatch { expected: blob.digest, actual }))
    }

    /// The part is full: it leaves, unless it is there.
    async fn emit(&mut self) -> Result<(), Stop> {
        let mut note = [0; parts::NOTE];
        let sha = self.blob.as_ref().and_then(|passing| passing.hasher.state());
        note[..STATE].copy_from_slice(&sha.unwrap_or_default());
        note[STATE..].copy_from_slice(&md5_state(&self.md5));
        let (number, note) = (self.number, Note(note));
        let body = std::mem::take(&mut self.buffer).freeze();
        if let Some(slot) = self.notes.get_mut(usize::try_from(number).unwrap_or(usize::MAX)) {
            *slot = Some(note);
        }
        self.number += 1;
        if self.known.contains(&(number, note)) {
            return Ok(());
        }
        // One part fills while the others leave.
        while self.sending.len() >= self.jobs.saturating_sub(1).max(1) {
            if let Some(sent) = self.sending.join_next().await {
                sent.map_err(|error| broken_task(&error))??;
            }
        }
        let upload = Arc::clone(&self.upload);
        self.sending.spawn(async move { upload.put(number, note, body).await });
        Ok(())
    }
}

/// Chunks of a blob, or why there are no more.
type Chunks = mpsc::Receiver<content::Result<Bytes>>;

/// Blobs that are fetched before the file has got to them.
struct Ahead<'a> {
    plan: &'a Plan,
    progress: &'a Progress,
    moved: &'a Arc<AtomicU64>,
    tries: &'a HashMap<Digest, u32>,
    position: u64,
    rest: VecDeque<&'a Place>,
    open: VecDeque<(Chunks, tokio::task::JoinHandle<()>)>,
}

impl Ahead<'_> {
    /// The chunks of the next blob; those behind it begin to come.
    fn next(&mut self) -> Chunks {
        while self.open.len() <= AHEAD
            && let Some(place) = self.rest.pop_front()
        {
            let opened = self.begin(place);
            self.open.push_back(opened);
        }
        // One is begun for each blob that is asked for; an empty channel reads as a blob that ended early.
        self.open.pop_front().map_or_else(|| mpsc::channel(1).1, |(chunks, _)| chunks)
    }

    fn begin(&self, place: &Place) -> (Chunks, tokio::task::JoinHandle<()>) {
        let blob = self.plan.described(&place.blob);
        let from = self.position.saturating_sub(place.offset);
        let origins = self.plan.origins(&blob.digest);
        let tried = usize::try_from(self.tries.get(&blob.digest).copied().unwrap_or(0)).unwrap_or(0);
        let origin = origins.get(tried % origins.len().max(1)).map(|o| metered(o, self.progress, self.moved));
        let (send, chunks) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            if let Err(error) = forward(origin, &blob, from, &send).await {
                let _ = send.send(Err(error)).await;
            }
        });
        (chunks, task)
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        for (_, task) in &self.open {
            task.abort();
        }
    }
}

async fn forward(
    origin: Option<Arc<dyn Source>>,
    blob: &Descriptor,
    from: u64,
    to: &mpsc::Sender<content::Result<Bytes>>,
) -> content::Result<()> {
    let origin = origin.ok_or_else(|| content::Error::NotFound { what: blob.digest.to_string() })?;
    let mut stream: ByteStream = origin.fetch(blob, from).await?;
    while let Some(chunk) = stream.next().await {
        // Nobody takes it any more where the pass has ended.
        if to.send(Ok(chunk?)).await.is_err() {
            break;
        }
    }
    Ok(())
}
