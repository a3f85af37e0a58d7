//! A bundle, or a set of volumes, that grows in place: blobs land at their final offsets, from many tasks at once, in any
//! order.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, RwLock};

use super::{
    Contents, Error, Layout, Result, TarEntry,
    blueprint::{Blueprint, FileLayout},
    canvas::{Canvas, Span},
    held::{self, HeldBytes},
    journal::{Journal, JournalLine},
    output::{Finished, Goal, Output},
    sequential_write::SequentialWrite,
    volume::VolumeGroup,
};
use crate::{
    content::{self, Landing, Lookup, Sink, Verified},
    files::{blocking::off_reactor, partial::PartialFile},
    oci::{Descriptor, Digest, Hasher},
};

/// Bytes between two marks in the journal: what a killed run fetches again of a blob, at the most.
const MARK: u64 = 64 << 20;

/// Writes a bundle to a file, or to the volumes of a set. Dropping it leaves `<name>.partial` and its journal, with which the next run goes on.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    // Held for reading while anything lands, for writing while the plan changes.
    gate: Arc<RwLock<()>>,
}

#[derive(Debug)]
struct Shared {
    output: Output,
    canvas: Canvas,
    journal: Journal,
    state: Mutex<WriterState>,
}

#[derive(Debug)]
struct WriterState {
    plan: Arc<Blueprint>,
    present: HashSet<Digest>,
    arrived: HashMap<Digest, (Hasher, u64)>,
    claims: HashMap<Digest, Arc<tokio::sync::Mutex<()>>>,
}

impl Writer {
    /// Begins the bundle of `contents` at `path`, or resumes it: whatever an earlier run left is hashed again, and
    /// what is sound is kept and moved to where this plan wants it.
    ///
    /// # Errors
    /// The file is there and `overwrite` was not asked for; another run is writing it; there is too little room. In all
    /// three nothing was touched.
    pub async fn open(path: &Path, contents: Contents, overwrite: bool) -> Result<Self> {
        Self::open_output(Output::file(path, overwrite), contents).await
    }

    /// Begins the set of volumes that `goal` asks for, or resumes it.
    ///
    /// # Errors
    /// As [`Writer::open`], and where the contents cannot be cut so.
    pub async fn open_set(goal: Goal, contents: Contents) -> Result<Self> {
        Self::open_output(Output::set(goal), contents).await
    }

    /// Begins some volumes of the set that `goal` asks for, or goes on with them. It gets no manifest.
    ///
    /// # Errors
    /// As [`Writer::open_set`].
    pub(crate) async fn open_group(goal: Goal, group: Arc<VolumeGroup>, contents: Contents) -> Result<Self> {
        Self::open_output(Output::group(goal, group), contents).await
    }

    async fn open_output(output: Output, contents: Contents) -> Result<Self> {
        let shared = off_reactor(move || {
            let plan = Blueprint::of(contents, output.form())?;
            let canvas = output.open(&plan)?;
            canvas.check_space(&plan.totals())?;
            let (journal, lines) = output.journal(&canvas)?;
            output.open_more(&canvas, &lines)?;
            let held = held::recheck(&canvas, &lines, &plan).map_err(Error::read(output.folder()))?;
            let shared = Shared { output, canvas, journal, state: Mutex::new(WriterState::new(plan)) };
            shared.settle(held)?;
            Ok::<_, Error>(shared)
        })
        .await?;
        Ok(Self { shared: Arc::new(shared), gate: Arc::default() })
    }

    /// Configs and layers that are to be pushed, in the order of the bundle.
    pub fn blobs(&self) -> Vec<Descriptor> {
        self.shared.plan().blobs().map(TarEntry::descriptor).collect()
    }

    /// Those of them that are not in place.
    pub(crate) fn missing(&self) -> Vec<TarEntry> {
        let state = self.shared.state();
        let mut missing = Vec::with_capacity(state.plan.blobs().len().saturating_sub(state.present.len()));
        missing.extend(state.plan.blobs().filter(|blob| !state.present.contains(&blob.digest)).copied());
        missing
    }

    /// How many blobs are written, and their bytes, and how many bytes of them are there, in part or whole.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let state = self.shared.state();
        let (mut blobs, mut bytes, mut there) = (0, 0, 0);
        for blob in state.plan.blobs() {
            blobs += 1;
            bytes += blob.whole;
            let begun = || state.arrived.get(&blob.digest).map_or(0, |(_, arrived)| *arrived);
            there += if state.present.contains(&blob.digest) { blob.whole } else { begun() };
        }
        (blobs, bytes, there)
    }

    /// The plan of the file as it is now; of a set that of its first volume.
    pub fn layout(&self) -> Arc<Layout> {
        Arc::new(self.shared.plan().first().clone())
    }

    /// Bytes of configs and layers that are in place and verified.
    pub fn present(&self) -> u64 {
        let state = self.shared.state();
        let blobs = state.plan.blobs().filter(|blob| state.present.contains(&blob.digest));
        blobs.map(|blob| blob.whole).sum()
    }

    /// What is there of a blob that an earlier run or attempt began: a hasher that has taken it in, and its bytes. Give
    /// both to [`Verified::resume`].
    pub fn arrived(&self, blob: &Descriptor) -> Option<(Hasher, u64)> {
        self.shared.state().arrived.get(&blob.digest).cloned()
    }

    /// Changes the plan to that of `contents`: what was fetched is moved within the file to where it then belongs. Waits
    /// for pushes that are under way, so it must not be called from within one.
    ///
    /// # Errors
    /// As for [`Layout::of`] and [`super::volume::pack()`], when nothing has changed; and of the file system, when only a later run can go on.
    pub async fn replan(&self, contents: Contents) -> Result<()> {
        let plan = Blueprint::of(contents, self.shared.output.form())?;
        let gate = Arc::clone(&self.gate).write_owned().await;
        let shared = Arc::clone(&self.shared);
        off_reactor(move || {
            let _gate = gate;
            for number in plan.numbers() {
                shared.output.ensure(&shared.canvas, number)?;
            }
            let held = shared.state().replace(plan);
            shared.settle(held)
        })
        .await
    }

    /// Publishes the bundle, or the set: every blob must be in place.
    pub async fn finish(self) -> Result<Finished> {
        let gate = self.gate.write_owned().await;
        let mut shared = self.shared;
        off_reactor(move || {
            let _gate = gate;
            shared.check_complete()?;
            // What landed last may still hold the file for the moment it takes to be dropped.
            let shared = loop {
                match Arc::try_unwrap(shared) {
                    Ok(shared) => break shared,
                    Err(still) => shared = still,
                }
                std::thread::yield_now();
            };
            let plan = shared.plan();
            let Shared { output, canvas, journal, .. } = shared;
            output.publish(canvas, &plan, journal)
        })
        .await
    }

    /// The right to write `digest`, which one push has at a time.
    async fn claim(&self, digest: Digest) -> OwnedMutexGuard<()> {
        let claim = Arc::clone(self.shared.state().claims.entry(digest).or_default());
        claim.lock_owned().await
    }
}

#[async_trait]
impl Lookup for Writer {
    /// Whether `content` is in place and verified. Manifests always are: they came with the plan.
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        let state = self.shared.state();
        Ok(state.plan.is_manifest(&content.digest) || state.present.contains(&content.digest))
    }
}

#[async_trait]
impl Sink for Writer {
    async fn push(&self, content: &Descriptor, body: Verified) -> content::Result<()> {
        let gate = Arc::clone(&self.gate).read_owned().await;
        if self.contains(content).await? {
            return Ok(());
        }
        let claim = self.claim(content.digest).await;
        if self.contains(content).await? {
            // Another task was faster.
            return Ok(());
        }
        let digest = content.digest;
        let plan = self.shared.plan();
        let spans = plan.spans(&digest);
        if spans.is_empty() {
            return Err(Error::Unplanned { digest }.into());
        }
        let size = body.descriptor().size;
        let expected = spans.iter().map(|span| span.size).sum();
        if size != expected {
            return Err(Error::SizeMismatch { digest, expected, actual: size }.into());
        }
        let shared = Arc::clone(&self.shared);
        let landing = OpenBlob {
            shared: Arc::clone(&shared),
            digest,
            is_kept: plan.kept(&digest).is_some(),
            spans,
            size,
            marked: None,
            stretch: None,
            _held: (gate, claim),
        };
        let outcome = body.drain(landing).await;
        if let Err(content::Error::DigestMismatch { .. } | content::Error::SizeMismatch { .. }) = &outcome {
            // No later run may resume from what is wrong.
            shared.state().arrived.remove(&digest);
            shared.journal.add(&JournalLine::Drop { digest })?;
        }
        outcome
    }
}

/// A blob on its way into the files.
struct OpenBlob {
    shared: Arc<Shared>,
    digest: Digest,
    /// Whether all of it is written: of another, what lies here cannot be told to be right by a later run.
    is_kept: bool,
    spans: Vec<Span>,
    size: u64,
    /// Bytes at the last mark, once a batch has landed.
    marked: Option<u64>,
    /// Where the next bytes go, once a batch has landed: the file, and the position in it.
    stretch: Option<(Arc<PartialFile>, u64, SequentialWrite)>,
    // Until the last write has returned, also where the push was given up, no one else may write the blob or move it.
    _held: (OwnedRwLockReadGuard<()>, OwnedMutexGuard<()>),
}

impl OpenBlob {
    /// The parts of `from..to` of the blob that lie somewhere: where in the blob each begins, its position, its bytes.
    fn parts(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        self.spans.iter().filter_map(move |span| {
            let (begin, end) = (from.max(span.from), to.min(span.from + span.size));
            (begin < end).then_some(())?;
            Some((begin, span.at? + (begin - span.from), end - begin))
        })
    }

    /// Writes what comes next, which lies at `position`.
    fn write(&mut self, chunks: &[Bytes], position: u64) -> Result<()> {
        if !matches!(self.stretch, Some((_, next, _)) if next == position) {
            let Some((partial, offset)) = self.shared.canvas.place(position) else { return Ok(()) };
            self.stretch = Some((partial, position, SequentialWrite::new(offset)));
        }
        let Some((partial, next, stretch)) = &mut self.stretch else { return Ok(()) };
        stretch.write(partial.file(), chunks).map_err(Error::write(partial.path()))?;
        *next += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        Ok(())
    }

    fn line(&self, bytes: u64, prefix: Digest) -> JournalLine {
        let parts = self.parts(0, bytes).map(|(_, at, size)| (at, size)).collect();
        let places =
            if bytes == 0 { self.spans.iter().filter_map(|span| Some((span.at?, 0))).collect() } else { parts };
        JournalLine::of(self.digest, places, prefix)
    }
}

/// What `skip..skip + size` of `chunks` holds.
fn slice(chunks: &[Bytes], skip: u64, size: u64) -> Vec<Bytes> {
    let mut at = 0;
    let cut = chunks.iter().filter_map(|chunk| {
        let (begin, end) = (at, at + chunk.len() as u64);
        at = end;
        let (from, to) = (begin.max(skip), end.min(skip + size));
        let inside = |position: u64| usize::try_from(position - begin).unwrap_or(usize::MAX);
        (from < to).then(|| chunk.slice(inside(from)..inside(to)))
    });
    cut.collect()
}

impl Landing for OpenBlob {
    fn land(&mut self, at: u64, chunks: &[Bytes], hasher: &Hasher) -> content::Result<()> {
        let arrived = at + chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        for (begin, position, size) in self.parts(at, arrived).collect::<Vec<_>>() {
            match *self.spans {
                [_] => self.write(chunks, position)?,
                _ => self.write(&slice(chunks, begin - at, size), position)?,
            }
        }
        let marked = *self.marked.get_or_insert(at);
        if arrived - marked >= MARK && arrived < self.size && self.is_kept {
            self.marked = Some(arrived);
            let line = self.line(arrived, hasher.clone().finish());
            self.shared.state().arrived.insert(self.digest, (hasher.clone(), arrived));
            self.shared.journal.add(&line)?;
        }
        Ok(())
    }

    fn proven(&mut self) -> content::Result<()> {
        if self.is_kept {
            self.shared.journal.add(&self.line(self.size, self.digest))?;
        }
        let mut state = self.shared.state();
        state.arrived.remove(&self.digest);
        // Who waits for the right to write it has it, and finds the blob in place.
        state.claims.remove(&self.digest);
        state.present.insert(self.digest);
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, WriterState> {
        // Every change of the state is a single step, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> Arc<Blueprint> {
        Arc::clone(&self.state().plan)
    }

    /// Makes room, brings `held` to where the plan wants it, and writes everything that is not a blob.
    fn settle(&self, mut held: Vec<HeldBytes>) -> Result<()> {
        let plan = self.plan();
        let path = self.output.folder();
        self.canvas.reserve(&plan.totals())?;
        let scratch = match self.output.form() {
            FileLayout::Whole => plan.first().total(),
            FileLayout::Set { .. } | FileLayout::Group(_) => {
                self.canvas.partials().keys().last().map_or(0, |last| Canvas::beyond(*last))
            }
        };
        held::bring(&self.canvas, &self.journal, &mut held, &plan, scratch).map_err(Error::write(path))?;
        for (position, bytes) in plan.frame() {
            self.canvas.write_at(&[bytes], position)?;
        }
        let mut state = self.state();
        for one in held {
            let bytes = one.bytes();
            match one.hasher {
                Some(hasher) => drop(state.arrived.insert(one.digest, (hasher, bytes))),
                None => drop(state.present.insert(one.digest)),
            }
        }
        Ok(())
    }

    fn check_complete(&self) -> Result<()> {
        let state = self.state();
        let mut missing = state.plan.blobs().filter(|blob| !state.present.contains(&blob.digest));
        match missing.next() {
            Some(first) => Err(Error::Incomplete { missing: 1 + missing.count(), first: first.digest }),
            None => Ok(()),
        }
    }
}

impl WriterState {
    fn new(plan: Blueprint) -> Self {
        Self { plan: Arc::new(plan), present: HashSet::new(), arrived: HashMap::new(), claims: HashMap::new() }
    }

    /// Takes up another plan; what the old one had in place is given back, as far as the new one wants it.
    fn replace(&mut self, plan: Blueprint) -> Vec<HeldBytes> {
        let old = std::mem::replace(self, Self::new(plan));
        let present = old.present.into_iter().map(|digest| (digest, None));
        let arrived = old.arrived.into_iter().map(|(digest, begun)| (digest, Some(begun)));
        let held = present.chain(arrived).filter_map(|(digest, begun)| {
            let size = old.plan.kept(&digest).filter(|size| self.plan.kept(&digest) == Some(*size))?;
            let (hasher, bytes) = begun.map_or((None, size), |(hasher, bytes)| (Some(hasher), bytes));
            Some(HeldBytes { digest, places: old.plan.places(&digest, bytes)?, hasher })
        });
        held.collect()
    }
}
