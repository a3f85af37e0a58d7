//! The digests of segments, which stand in the heads of volumes: learnt before the first byte of such a volume is sent.
//!
//! A segment's digest lies in front of it in the file, so of a volume that cannot be written to twice its bytes must have
//! gone by once before. Each blob that is cut is read from its repository for that, proven whole, and not kept. What was
//! learnt follows from the blob and the cut alone; it is kept in the state folder, so that a later run need not read again.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    super::{
        execute::{self, Meter},
        send::{Stop, broken_task},
    },
    ExportRun,
};
use crate::{
    bundle::volume::Cut,
    content::{self, Landing, Lookup, Sink, Verified},
    oci::{Algorithm, Descriptor, Digest, Hasher},
    progress::{Event, Phase},
    storage,
};

/// The SHA-256 of each segment of a set, by the blob and where in it the segment begins.
pub(super) type Segments = HashMap<(Digest, u64), Digest>;

/// A blob that is cut, and where each of its segments begins and ends.
#[derive(Clone, Debug)]
struct Cutting {
    blob: Descriptor,
    starts: Vec<u64>,
}

impl Cutting {
    /// Where it is kept what was learnt.
    fn path(&self, state: &Path) -> PathBuf {
        let what = format!("segments\n{}\n{:?}", self.blob.digest, self.starts);
        state.join(format!("{}.segments", Digest::sha256(what.as_bytes()).hex()))
    }

    /// What an earlier run has learnt.
    fn known(&self, state: &Path) -> Option<Vec<Digest>> {
        let known: Vec<Digest> = serde_json::from_slice(&fs::read(self.path(state)).ok()?).ok()?;
        (known.len() == self.starts.len()).then_some(known)
    }

    fn keep(&self, state: &Path, digests: &[Digest]) -> Result<(), storage::Error> {
        let path = self.path(state);
        let write = || {
            fs::create_dir_all(state)?;
            let partial = tempfile::NamedTempFile::new_in(state)?;
            serde_json::to_writer(partial.as_file(), digests)?;
            partial.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| storage::Error::write(&path, error))
    }
}

/// The blobs that are cut, in the order of the bundle.
fn cuttings(cut: &Cut, blobs: &[Descriptor]) -> Vec<Cutting> {
    let mut starts: BTreeMap<Digest, Vec<u64>> = BTreeMap::new();
    for piece in &cut.pieces {
        starts.entry(piece.digest).or_default().push(piece.from);
    }
    let of = |blob: &Descriptor| {
        let starts = starts.remove(&blob.digest).filter(|starts| starts.len() > 1)?;
        Some(Cutting { blob: blob.clone(), starts })
    };
    blobs.iter().filter_map(of).collect()
}

impl ExportRun<'_> {
    /// Learns the digests of all segments of the set.
    pub(super) async fn segments(&self, cut: &Cut, blobs: &[Descriptor], state: &Path) -> Result<Segments, Stop> {
        let mut segments = Segments::new();
        let mut add = |cutting: &Cutting, digests: Vec<Digest>| {
            segments.extend(cutting.starts.iter().map(|&from| (cutting.blob.digest, from)).zip(digests));
        };
        let mut unknown = Vec::new();
        for cutting in cuttings(cut, blobs) {
            match cutting.known(state) {
                Some(digests) => add(&cutting, digests),
                None => unknown.push(cutting),
            }
        }
        if unknown.is_empty() {
            return Ok(segments);
        }
        let bytes = unknown.iter().map(|cutting| cutting.blob.size).sum();
        self.progress.tell(Event::Phase(Phase::Planning));
        self.progress.tell(Event::Planned { blobs: unknown.len() as u64, bytes, present: 0 });
        let mut stopped = None;
        let work = |cutting: Cutting| {
            let origins = self.plan.origins(&cutting.blob.digest);
            let one = execute::Move { blob: self.plan.described(&cutting.blob), origins, arrived: None };
            let meter = Meter::new(self.progress, &self.moved);
            async move {
                let ruler = Ruler { starts: cutting.starts.clone(), learnt: Arc::default() };
                let outcome = one.run(&ruler, &meter).await;
                (cutting, outcome.map(|()| ruler.take()))
            }
        };
        execute::each(unknown, execute::at_once(self.request.jobs), work, |(cutting, outcome)| {
            let kept = match outcome {
                Ok(digests) => cutting.keep(state, &digests).map_err(Stop::from).map(|()| digests),
                Err(broken) => Err(Stop::Blob(cutting.blob.digest, broken.error)),
            };
            match kept {
                Ok(digests) => {
                    add(&cutting, digests);
                    ControlFlow::Continue(Vec::new())
                }
                Err(stop) => {
                    stopped = Some(stop);
                    ControlFlow::Break(())
                }
            }
        })
        .await
        .map_err(|error| broken_task(&error))?;
        stopped.map_or(Ok(segments), Err)
    }
}

/// Forgets what was learnt: the set is there, or it turned out to be wrong.
pub(super) fn forget(cut: &Cut, blobs: &[Descriptor], state: &Path) {
    for cutting in cuttings(cut, blobs) {
        // What stays is true, and a few hundred bytes.
        let _ = fs::remove_file(cutting.path(state));
    }
}

/// Takes in a blob and keeps nothing of it but the digests of its segments.
#[derive(Debug)]
struct Ruler {
    starts: Vec<u64>,
    learnt: Arc<Mutex<Vec<Digest>>>,
}

impl Ruler {
    fn take(self) -> Vec<Digest> {
        std::mem::take(&mut *self.learnt.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Lookup for Ruler {
    async fn contains(&self, _content: &Descriptor) -> content::Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl Sink for Ruler {
    async fn push(&self, _content: &Descriptor, body: Verified) -> content::Result<()> {
        let (ends, learnt) = (self.starts[1..].to_vec(), Arc::clone(&self.learnt));
        body.drain(Measure { ends, at: 0, hasher: Hasher::new(Algorithm::Sha256), digests: Vec::new(), learnt }).await
    }
}

/// A blob going by.
struct Measure {
    /// Where each segment but the last ends.
    ends: Vec<u64>,
    at: u64,
    /// Over the segment that goes by.
    hasher: Hasher,
    digests: Vec<Digest>,
    learnt: Arc<Mutex<Vec<Digest>>>,
}

impl Measure {
    fn next(&mut self) {
        let full = std::mem::replace(&mut self.hasher, Hasher::new(Algorithm::Sha256));
        self.digests.push(full.finish());
    }
}

impl Landing for Measure {
    fn land(&mut self, _at: u64, chunks: &[Bytes], _hasher: &Hasher) -> content::Result<()> {
        for chunk in chunks {
            let mut rest = chunk.clone();
            while let Some(&end) = self.ends.get(self.digests.len()) {
                let Some(length) = usize::try_from(end - self.at).ok().filter(|&length| length <= rest.len()) else {
                    break;
                };
                self.hasher.update(&rest.split_to(length));
                self.at = end;
                self.next();
            }
            self.hasher.update(&rest);
            self.at += rest.len() as u64;
        }
        Ok(())
    }

    fn proven(&mut self) -> content::Result<()> {
        self.next();
        *self.learnt.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut self.digests);
        Ok(())
    }
}
