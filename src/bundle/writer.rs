//! A bundle that grows in place: blobs land at their final offsets, from many tasks at once, in any order.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, RwLock};

use super::{
    Contents, Error, Layout, Result,
    disk::{self, off_reactor},
    held::{self, Held},
    journal::{Journal, Line},
    partial::Partial,
    stretch::Stretch,
};
use crate::{
    content::{self, Landing, Lookup, Sink, Verified},
    oci::{Descriptor, Digest, Hasher},
};

/// Bytes between two marks in the journal: what a killed run fetches again of a blob, at the most.
const MARK: u64 = 64 << 20;

/// A bundle that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Where it is; `-` for a stream.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The bundle id.
    pub id: Digest,
}

/// Writes a bundle to a file. Dropping it leaves `<name>.partial` and its journal, with which the next run goes on.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    // Held for reading while anything lands, for writing while the plan changes.
    gate: Arc<RwLock<()>>,
}

#[derive(Debug)]
struct Shared {
    partial: Partial,
    journal: Journal,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    layout: Arc<Layout>,
    present: HashSet<Digest>,
    arrived: HashMap<Digest, (Hasher, u64)>,
    claims: HashMap<Digest, Arc<tokio::sync::Mutex<()>>>,
}

impl Writer {
    /// Begins the bundle of `contents` at `path`, or goes on with it: whatever an earlier run left is hashed again, and
    /// what is sound is kept and moved to where this plan wants it.
    ///
    /// # Errors
    /// The file is there and `overwrite` was not asked for; another run is writing it; there is too little room. In all
    /// three nothing was touched.
    pub async fn open(path: &Path, contents: Contents, overwrite: bool) -> Result<Self> {
        let path = path.to_owned();
        let shared = off_reactor(move || {
            let layout = Layout::of(&contents)?;
            let partial = Partial::open(&path, overwrite)?;
            partial.check_space(layout.total())?;
            let (journal, lines) = Journal::open(&partial.journal(), partial.is_fresh())?;
            let held = held::recheck(partial.file(), &lines, &layout).map_err(Error::read(partial.path()))?;
            let shared = Shared { partial, journal, state: Mutex::new(State::new(layout)) };
            shared.settle(held)?;
            Ok::<_, Error>(shared)
        })
        .await?;
        Ok(Self { shared: Arc::new(shared), gate: Arc::default() })
    }

    /// The plan as it is now.
    pub fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.shared.state().layout)
    }

    /// Bytes of configs and layers that are in place and verified.
    pub fn present(&self) -> u64 {
        let state = self.shared.state();
        let present = |digest| state.layout.place(digest).map_or(0, |place| place.blob.size);
        state.present.iter().map(present).sum()
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
    /// As for [`Layout::of`], when nothing has changed; and of the file system, when only a later run can go on.
    pub async fn replan(&self, contents: Contents) -> Result<()> {
        let layout = Layout::of(&contents)?;
        let gate = Arc::clone(&self.gate).write_owned().await;
        let shared = Arc::clone(&self.shared);
        off_reactor(move || {
            let _gate = gate;
            let held = shared.state().replace(layout);
            shared.settle(held)
        })
        .await
    }

    /// Publishes the bundle: every blob must be in place.
    pub async fn finish(self) -> Result<Finished> {
        let gate = self.gate.write_owned().await;
        let mut shared = self.shared;
        off_reactor(move || {
            let _gate = gate;
            let layout = Arc::clone(&shared.state().layout);
            shared.check_complete(&layout)?;
            // What landed last may still hold the file for the moment it takes to be dropped.
            let shared = loop {
                match Arc::try_unwrap(shared) {
                    Ok(shared) => break shared,
                    Err(still) => shared = still,
                }
                std::thread::yield_now();
            };
            let path = shared.partial.publish(layout.total())?;
            shared.journal.remove()?;
            Ok(Finished { path, bytes: layout.total(), id: layout.id() })
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
        Ok(state.layout.is_manifest(&content.digest) || state.present.contains(&content.digest))
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
        let place = self.layout().place(&content.digest).cloned();
        let place = place.ok_or(Error::Unplanned { digest: content.digest })?;
        let size = body.descriptor().size;
        if place.blob.size != size {
            let (digest, expected) = (content.digest, place.blob.size);
            return Err(Error::SizeMismatch { digest, expected, actual: size }.into());
        }
        let shared = Arc::clone(&self.shared);
        let digest = content.digest;
        let landing = Blob {
            shared: Arc::clone(&shared),
            digest,
            offset: place.offset,
            size,
            marked: None,
            stretch: None,
            _held: (gate, claim),
        };
        let outcome = body.drain(landing).await;
        if let Err(content::Error::DigestMismatch { .. } | content::Error::SizeMismatch { .. }) = &outcome {
            // Nobody must go on from what is wrong.
            shared.state().arrived.remove(&digest);
            shared.journal.add(&Line::Drop { digest })?;
        }
        outcome
    }
}

/// A blob on its way into the file.
struct Blob {
    shared: Arc<Shared>,
    digest: Digest,
    offset: u64,
    size: u64,
    /// Bytes at the last mark, once a batch has landed.
    marked: Option<u64>,
    /// Where the next bytes go, once a batch has landed.
    stretch: Option<Stretch>,
    // Until the last write has returned, also where the push was given up, no one else may write the blob or move it.
    _held: (OwnedRwLockReadGuard<()>, OwnedMutexGuard<()>),
}

impl Landing for Blob {
    fn land(&mut self, at: u64, chunks: &[Bytes], hasher: &Hasher) -> content::Result<()> {
        let partial = &self.shared.partial;
        let ways = partial.ways();
        let (from, size) = (self.offset + at, self.size - at);
        let stretch = self.stretch.get_or_insert_with(|| Stretch::new(ways, from, size));
        stretch.write(ways, chunks).map_err(Error::write(partial.path()))?;
        let arrived = at + chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let marked = *self.marked.get_or_insert(at);
        if arrived - marked >= MARK && arrived < self.size {
            self.marked = Some(arrived);
            stretch.flush(ways).map_err(Error::write(partial.path()))?;
            let prefix = hasher.clone().finish();
            let (digest, offset) = (self.digest, self.offset);
            self.shared.state().arrived.insert(digest, (hasher.clone(), arrived));
            self.shared.journal.add(&Line::Mark { digest, offset, size: arrived, prefix })?;
        }
        Ok(())
    }

    fn proven(&mut self) -> content::Result<()> {
        let partial = &self.shared.partial;
        if let Some(stretch) = &mut self.stretch {
            stretch.flush(partial.ways()).map_err(Error::write(partial.path()))?;
        }
        let line = Line::Blob { digest: self.digest, offset: self.offset, size: self.size };
        self.shared.journal.add(&line)?;
        let mut state = self.shared.state();
        state.arrived.remove(&self.digest);
        state.present.insert(self.digest);
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single step, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room, brings `held` to where the plan wants it, and writes everything that is not a blob.
    fn settle(&self, held: Vec<Held>) -> Result<()> {
        let layout = Arc::clone(&self.state().layout);
        self.partial.reserve(layout.total())?;
        held::bring(self.partial.file(), &self.journal, &held, &layout).map_err(Error::write(self.partial.path()))?;
        for (offset, bytes) in layout.frame() {
            disk::write_at(self.partial.file(), &[bytes], offset).map_err(Error::write(self.partial.path()))?;
        }
        let mut state = self.state();
        for one in held {
            match one.hasher {
                Some(hasher) => drop(state.arrived.insert(one.digest, (hasher, one.bytes))),
                None => drop(state.present.insert(one.digest)),
            }
        }
        Ok(())
    }

    fn check_complete(&self, layout: &Layout) -> Result<()> {
        let state = self.state();
        let mut missing = layout.blobs().iter().filter(|place| !state.present.contains(&place.blob.digest));
        match missing.next() {
            Some(first) => Err(Error::Incomplete { missing: 1 + missing.count(), first: first.blob.digest }),
            None => Ok(()),
        }
    }
}

impl State {
    fn new(layout: Layout) -> Self {
        Self { layout: Arc::new(layout), present: HashSet::new(), arrived: HashMap::new(), claims: HashMap::new() }
    }

    /// Takes up another plan; what the old one had in place is given back, as far as the new one wants it.
    fn replace(&mut self, layout: Layout) -> Vec<Held> {
        let old = std::mem::replace(self, Self::new(layout));
        let present = old.present.into_iter().map(|digest| (digest, None));
        let arrived = old.arrived.into_iter().map(|(digest, (hasher, bytes))| (digest, Some((hasher, bytes))));
        let held = present.chain(arrived).filter_map(|(digest, begun)| {
            let place = old.layout.place(&digest)?;
            let same = self.layout.place(&digest).is_some_and(|new| new.blob.size == place.blob.size);
            let (hasher, bytes) = begun.map_or((None, place.blob.size), |(hasher, bytes)| (Some(hasher), bytes));
            same.then_some(Held { digest, from: place.offset, bytes, hasher })
        });
        held.collect()
    }
}
