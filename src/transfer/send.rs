//! Sending a file into a storage: its bytes flow past once, in order, and leave in parts.
//!
//! What an export plans and what a copy reads are sent by the same engine. Bytes come ahead of where the file has got to, and
//! parts leave while the next ones fill, so memory is a few parts, whatever the size of the file. With each part goes a note
//! of the hashes' states at its end. A later run reads the notes and goes on in the middle of a blob without having read its
//! beginning: the digest still covers all of it. A part in which a blob ends leaves only after that blob was proven, so what
//! a later run finds complete, and what is committed, is proven too.

mod ahead;
mod buffers;
mod check;
mod copied_range;
mod flow;
mod md5;
mod state;
mod stop;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::task::JoinSet;

pub(super) use self::{
    ahead::Planned,
    check::check,
    copied_range::PinnedObject,
    flow::{ByteSupply, FileParts, SendMode},
    stop::{Stop, broken_task},
};
use self::{
    buffers::Buffers,
    flow::{Filling, Flow},
    md5::Md5s,
};
use crate::{
    bundle::Layout,
    content,
    oci::{Algorithm, Digest, Hasher},
    progress::{Event, Progress},
    storage::{PartCheckpoint, Parts, Stat, Upload},
};

/// How often a blob is tried whose bytes came wrong.
const ATTEMPTS: u32 = 2;

/// The metadata key of the bundle's id.
const BUNDLE: &str = "airlift_bundle";

/// The metadata keys of a volume's set and of its number there.
const SET: [&str; 2] = ["airlift_set", "airlift_volume"];

/// What a bundle is committed with. Azure's own importer looks for the category.
pub(super) fn metadata(layout: &Layout) -> BTreeMap<String, String> {
    let set = [
        ("category", "acr-transfer-blob".to_owned()),
        ("airlift_format", layout.facts().version.to_string()),
        (BUNDLE, layout.id().to_string()),
    ];
    let of_set = layout.facts().volume.iter().flat_map(|volume| {
        let [set, number] = SET;
        [(set, volume.set.to_string()), (number, volume.number.to_string())]
    });
    set.into_iter().chain(of_set).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether `stat` is that of a bundle that was sent by this program.
pub(super) fn is_bundle(stat: &Stat) -> bool {
    stat.metadata.contains_key(BUNDLE)
}

/// Whether `layout` is that of a volume.
pub(super) fn is_volume(layout: &Layout) -> bool {
    layout.facts().volume.is_some()
}

/// Whether `stat` is the very bundle of `layout`: a run that was killed after its commit ends well when it is run again.
pub(super) fn is_same(stat: &Stat, layout: &Layout) -> bool {
    let ours = metadata(layout);
    let is_said = |key: &str| stat.metadata.get(key) == ours.get(key);
    stat.size == layout.total() && is_said(BUNDLE) && SET.into_iter().all(is_said)
}

/// A file on its way into a storage.
pub(super) struct Sending<'a> {
    supply: &'a dyn ByteSupply,
    file: FileParts<'a>,
    upload: Arc<dyn Upload>,
    way: SendMode,
    parts: Parts,
    /// The parts that are there, each under the note it was put with.
    notes: Vec<Option<PartCheckpoint>>,
    jobs: usize,
    /// Whether the SHA-256 of the whole file is wanted.
    summed: bool,
    progress: &'a Progress,
}

/// All parts of a file, there and proven, to be committed.
pub(super) struct Sent {
    /// One a part, in order.
    pub(super) notes: Vec<PartCheckpoint>,
    /// Of the whole.
    pub(super) md5: [u8; 16],
    /// Of the whole, where it is not a bundle.
    pub(super) learnt: Option<Digest>,
    /// SHA-256 of the whole, where it was wanted and all of it passed by in one go: a note has no room for its state.
    pub(super) sum: Option<Digest>,
}

impl<'a> Sending<'a> {
    /// Begins, or resumes what an earlier run left in `upload`.
    pub(super) fn new(
        supply: &'a dyn ByteSupply,
        file: FileParts<'a>,
        upload: Arc<dyn Upload>,
        way: SendMode,
        parts: Parts,
        progress: &'a Progress,
    ) -> Self {
        let mut found: HashMap<u32, Vec<PartCheckpoint>> = HashMap::new();
        for &(number, note) in upload.present() {
            found.entry(number).or_default().push(note);
        }
        // Of a part that is there twice it is not known which one the later parts follow.
        let only = |number| found.get(&number).and_then(|notes| <[PartCheckpoint; 1]>::try_from(notes.as_slice()).ok());
        let notes = (0..parts.count()).map(|number| only(number).map(|[note]| note)).collect();
        Self { supply, file, upload, way, parts, notes, jobs: 1, summed: false, progress }
    }

    /// With so many parts in memory at once, the one that fills included.
    pub(super) fn jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..self }
    }

    /// With the SHA-256 of the whole file.
    pub(super) fn summed(self) -> Self {
        Self { summed: true, ..self }
    }

    /// Bytes that need not be sent again.
    pub(super) fn present(&self) -> u64 {
        self.position(self.resume_before(self.leading()))
    }

    /// Sends what is missing. What comes back is what a commit takes.
    pub(super) async fn run(&mut self) -> Result<Sent, Stop> {
        let mut first = self.resume_before(self.leading());
        let mut tries: HashMap<Digest, u32> = HashMap::new();
        loop {
            match self.pass(first, &tries).await {
                Ok(sent) => return Ok(sent),
                Err(Stop::Blob(digest, error)) => {
                    let count = tries.entry(digest).or_default();
                    *count += 1;
                    let wrong = content::Fault::code(&error).class() == content::Class::Unverified;
                    let place = self.file.contents().find(|content| content.token == digest);
                    let Some(place) = place.filter(|_| wrong && *count < ATTEMPTS) else {
                        return Err(Stop::Blob(digest, error));
                    };
                    // Its first bytes may be those of an earlier run, and wrong as well.
                    self.progress.tell(Event::Abandoned { blob: digest });
                    first = self.resume_before(self.parts.at(place.offset));
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// How many parts are there from the first one on. Of a file whose digest is not known the last one passes again.
    fn leading(&self) -> u32 {
        let there = self.notes.iter().take_while(|note| note.is_some()).count();
        let unknown = self.file.contents().any(|content| content.digest.is_none());
        let most = if unknown { self.parts.count().saturating_sub(1) } else { self.parts.count() };
        u32::try_from(there).unwrap_or(0).min(most)
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
    fn state_before(&self, number: u32) -> Option<(Md5s, Option<Hasher>)> {
        let Some(before) = number.checked_sub(1) else { return Some((Md5s::new(), None)) };
        let note = (*self.notes.get(usize::try_from(before).ok()?)?)?;
        state::at(note, self.parts.range(before).end, &self.file)
    }

    fn position(&self, part: u32) -> u64 {
        u64::from(part).saturating_mul(self.parts.size()).min(self.parts.total())
    }

    /// Everything from the beginning of part `first` on.
    async fn pass(&mut self, first: u32, tries: &HashMap<Digest, u32>) -> Result<Sent, Stop> {
        let (md5, hasher) = self.state_before(first).unwrap_or_else(|| (Md5s::new(), None));
        let position = self.position(first);
        let buffers = Buffers::default();
        let mut flow = Flow {
            upload: Arc::clone(&self.upload),
            way: self.way.clone(),
            parts: self.parts,
            known: self.upload.present().to_vec(),
            jobs: self.jobs,
            number: first,
            filling: Filling::new(&self.way, &buffers),
            buffers,
            md5,
            sum: (self.summed && first == 0).then(|| Hasher::new(Algorithm::Sha256)),
            passing: None,
            learnt: None,
            sending: JoinSet::new(),
            notes: &mut self.notes,
        };
        let mut feed = self.supply.feed(position, tries);
        let outcome = flow.run(&self.file, position, hasher, &mut *feed, self.progress).await;
        // A part of this pass must not arrive after one of the next.
        while let Some(sent) = flow.sending.join_next().await {
            if outcome.is_ok() {
                sent.map_err(|error| broken_task(&error))??;
            }
        }
        outcome?;
        let (md5, learnt, sum) = (flow.md5.finish(), flow.learnt, flow.sum.map(Hasher::finish));
        Ok(Sent { notes: self.notes.iter().copied().flatten().collect(), md5, learnt, sum })
    }
}

#[cfg(test)]
mod tests;
