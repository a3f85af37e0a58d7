//! The seal: all volumes are there and are those of the plan, so they become a set.

use std::{ops::Range, path::PathBuf, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{
    super::{documents, send, send::Stop},
    Error, PlanFile, SetPlace,
    error::BadVolume,
};
use crate::{
    bundle::{
        self, Facts, Layout, Reader,
        layout::FACTS_NAME,
        volume::{SUMS, SetFile, SetManifest, publication::SumsFound},
    },
    content::{Class, Fault},
    files::blocking::off_reactor,
    oci::{Digest, Hasher},
    progress::{Event, Phase, Progress},
    storage::{self, Pinned},
    transfer,
};

/// Volumes that are looked for at once.
const LOOKS_AT_ONCE: usize = 16;

/// Volumes that are read at once, at the most.
const AT_ONCE: usize = 4;

/// With more pieces than this, one volume is read at a time: the plan of each takes memory by all of them.
const MANY_PIECES: usize = 20_000;

/// A set that is complete.
#[derive(Clone, Debug, Serialize)]
pub struct Sealed {
    /// The id of the plan.
    pub plan: Digest,
    /// The id of the set.
    pub set: Digest,
    /// The bundle id.
    pub bundle: Digest,
    /// The manifest of the set.
    pub output: PathBuf,
    /// How many volumes there are.
    pub volumes: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Whether it was sealed before.
    pub already_there: bool,
}

/// Reads every volume and holds it against `plan`; then writes the sums and the manifest, which make a set of them.
///
/// # Errors
/// [`Error::Unfinished`] where volumes are missing or damaged; nothing was written.
pub async fn seal(plan: &PlanFile, place: &SetPlace, jobs: usize, progress: &Progress) -> Result<Sealed, Error> {
    progress.tell(Event::Phase(Phase::Planning));
    let is_sealed = place.is_sealed(plan).await?;
    if !is_sealed {
        place.check_mark(plan).await?;
        if place.publication().sums(None).await? == SumsFound::Other {
            return Err(storage::Error::Exists { what: place.at(SUMS).to_string() }.into());
        }
    }
    progress.tell(Event::Phase(Phase::Verifying));
    let files = volumes(plan, place, jobs.max(1), progress).await?;
    progress.tell(Event::Phase(Phase::Publishing));
    let bytes = files.iter().map(|file| file.size).sum();
    let manifest = SetManifest::new(plan.contents().index.id(), plan.set(), plan.cut(), files);
    if !place.publication().publish(&manifest, false).await? {
        let reason = "it says other sums than its volumes have".to_owned();
        return Err(bundle::Error::SetManifest { path: place.manifest().to_string().into(), reason }.into());
    }
    documents::remove(&place.mark(), &place.settings).await?;
    Ok(Sealed {
        plan: plan.id(),
        set: plan.set(),
        bundle: manifest.bundle,
        output: PathBuf::from(place.manifest().to_string()),
        volumes: manifest.volumes.len(),
        bytes,
        already_there: is_sealed,
    })
}

/// A volume that was read, or what is wrong with it.
enum CheckedVolume {
    Sound(SetFile, Vec<PlacedSegment>),
    Bad(BadVolume),
}

/// A segment of a blob, and where it is.
struct PlacedSegment {
    digest: Digest,
    /// Where in the blob it begins.
    from: u64,
    volume: u32,
    pinned: Pinned,
    range: Range<u64>,
}

/// Every volume, read and found right.
async fn volumes(plan: &PlanFile, place: &SetPlace, jobs: usize, progress: &Progress) -> Result<Vec<SetFile>, Error> {
    let (count, pieces) = (plan.cut().volumes, &plan.cut().pieces);
    let unfinished = |bad| Error::Unfinished { place: place.folder.to_string(), volumes: count, bad };
    let bad = missing(plan, place).await?;
    if !bad.is_empty() {
        return Err(unfinished(bad));
    }
    let bytes = pieces.iter().map(|piece| piece.size).sum();
    progress.tell(Event::Planned { blobs: pieces.len() as u64, bytes, present: 0 });
    let at_once = if pieces.len() > MANY_PIECES { 1 } else { jobs.min(AT_ONCE) };
    let looks = (1..=count).map(|number| volume(plan, place, number, (jobs / at_once).max(1), progress));
    let looks: Vec<_> = looks.collect();
    let mut looks = stream::iter(looks).buffered(at_once);
    let (mut files, mut segments, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(found) = looks.next().await {
        match found? {
            CheckedVolume::Sound(file, of_volume) => {
                files.push(file);
                segments.extend(of_volume);
            }
            CheckedVolume::Bad(volume) => bad.push(volume),
        }
    }
    if bad.is_empty() {
        bad = joined(place, segments).await?;
    }
    if bad.is_empty() { Ok(files) } else { Err(unfinished(bad)) }
}

/// The volumes that are not there: a seal that comes too early reads nothing for it.
async fn missing(plan: &PlanFile, place: &SetPlace) -> Result<Vec<BadVolume>, Error> {
    let looks = (1..=plan.cut().volumes).map(async |number| {
        let found = Pinned::find(place.volume(number)?).await?;
        let bad = || BadVolume { number, name: place.volume_name(number), source: None };
        Ok::<_, Error>(found.is_none().then(bad))
    });
    let looks: Vec<_> = looks.collect();
    let found: Vec<_> = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
    found.into_iter().filter_map(Result::transpose).collect()
}

async fn volume(
    plan: &PlanFile,
    place: &SetPlace,
    number: u32,
    jobs: usize,
    progress: &Progress,
) -> Result<CheckedVolume, Error> {
    let name = place.volume_name(number);
    let bad = |source: transfer::Error| {
        // That it cannot be read now says nothing about what it is.
        let is_damaged = source.code().class() == Class::Unverified
            || matches!(source, transfer::Error::Storage(storage::Error::Protocol { .. }));
        if is_damaged {
            Ok(CheckedVolume::Bad(BadVolume { number, name: name.clone(), source: Some(source) }))
        } else {
            Err(Error::from(source))
        }
    };
    let Some(pinned) = Pinned::find(place.volume(number)?).await? else {
        return Ok(CheckedVolume::Bad(BadVolume { number, name, source: None }));
    };
    let mut layout = Layout::of_volume(plan.contents(), plan.cut(), number, any(plan, number))?;
    let Some(segments) = segments_at(&pinned, &layout, plan).await? else {
        // It is not the volume that is planned; what it is, its head says.
        return match other(&pinned, plan, number).await {
            Ok(error) => Err(error),
            Err(error) => bad(error),
        };
    };
    if !segments.is_empty() {
        layout = match Layout::of_volume(plan.contents(), plan.cut(), number, segments) {
            Ok(layout) => layout,
            Err(error) => return bad(error.into()),
        };
    }
    let (expected, found) = (layout.total(), pinned.stat().size);
    if expected != found {
        let path = pinned.object().location().to_string().into();
        let reason = format!("expected {expected} bytes, got {found}");
        return bad(bundle::Error::VolumeWrong { path, reason }.into());
    }
    match send::check(pinned.clone(), &layout, jobs, progress).await {
        Ok(digest) => {
            let cut = layout.blobs().iter().filter(|place| place.segment.is_some());
            let segments = cut.map(|place| PlacedSegment {
                digest: place.digest,
                from: place.from(),
                volume: number,
                pinned: pinned.clone(),
                range: place.offset..place.end(),
            });
            Ok(CheckedVolume::Sound(SetFile { digest, name: name.clone(), size: layout.total() }, segments.collect()))
        }
        Err(Stop::Storage(error)) => bad(error.into()),
        Err(Stop::Bundle(error)) => bad(error.into()),
        Err(Stop::Blob(_, error)) => bad(error.into()),
    }
}

/// Digests in the place of those of the segments in volume `number`.
fn any(plan: &PlanFile, number: u32) -> Vec<Digest> {
    plan.cut().segments(number).map(|_| Digest::sha256(b"")).collect()
}

/// The digests of the segments in a volume, as its `airlift.json` says them where `layout` has it; `None` if it is not one of `plan`.
async fn segments_at(pinned: &Pinned, layout: &Layout, plan: &PlanFile) -> Result<Option<Vec<Digest>>, Error> {
    let entry = layout.entries().find(|entry| entry.name == FACTS_NAME);
    let Some(range) = entry.map(|entry| entry.offset..entry.offset + entry.size) else { return Ok(None) };
    if pinned.stat().size < range.end {
        return Ok(None);
    }
    let facts = Facts::parse(&pinned.bytes(range).await?).ok().filter(|facts| facts.set_id() == plan.set());
    Ok(facts.and_then(|facts| Some(facts.volume?.segments)))
}

/// Why a file is not the volume `number` of the plan: it is of another plan, which ends the seal; or the inner error.
async fn other(pinned: &Pinned, plan: &PlanFile, number: u32) -> Result<Error, transfer::Error> {
    let reader = Reader::open_on(Arc::new(pinned.clone())).await?;
    let path = reader.path().to_owned();
    match reader.set_id() {
        Some(found) if found != plan.set() => {
            Ok(Error::OtherPlan { place: path.display().to_string(), expected: plan.set(), found })
        }
        _ => {
            let reason = format!("it is not volume {number} of the plan, as its name says");
            Err(bundle::Error::VolumeWrong { path, reason }.into())
        }
    }
}

/// The volumes with segments that are sound by themselves and do not give their blob.
async fn joined(place: &SetPlace, mut segments: Vec<PlacedSegment>) -> Result<Vec<BadVolume>, Error> {
    segments.sort_by_key(|segment| (segment.digest, segment.from));
    let mut bad = Vec::new();
    for segments in segments.chunk_by(|a, b| a.digest == b.digest) {
        let expected = segments[0].digest;
        let mut hasher = Hasher::new(expected.algorithm());
        for segment in segments {
            let mut chunks = segment.pinned.chunks(segment.range.clone()).await?;
            while let Some(chunk) = chunks.try_next().await? {
                hasher = off_reactor(move || {
                    hasher.update(&chunk);
                    hasher
                })
                .await;
            }
        }
        let actual = hasher.finish();
        if actual != expected {
            let (number, offset) = (segments[0].volume, segments[0].range.start);
            let source = bundle::Error::DigestMismatch { expected, actual, offset }.into();
            bad.push(BadVolume { number, name: place.volume_name(number), source: Some(source) });
        }
    }
    Ok(bad)
}
