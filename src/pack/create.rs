//! Packs a bundle: looks at every blob, plans, codes, writes the file, decodes all of it again, and only then gives it its name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::runtime::Handle;

use super::{
    Error, Result,
    base::survey_layer,
    blob_read::BundleBlobs,
    encode::{EncodedContent, Encoding},
    frames::BaseContents,
    frames_file::{FramesFile, PackLine, tidy},
    head::{BaseLayer, PackHead, PackedBlob, PackedBundle, PackedContent},
    medium::Medium,
    opened::{PackedFile, ReadSettings},
    output::PackOutput,
    parallel::largest_first,
    plan::{SurveyedBlob, plan, used_base},
    proof::{check, prove, unproven},
    survey::{BlobSurvey, RecipeTrial, survey},
    volumes::{MOST_HEAD, gather_near, volume_path},
};
use crate::{
    bundle::{self, Format, Layout, Reader},
    files::{self, blocking::off_reactor},
    oci::{Descriptor, Digest},
    progress::{Event, Phase, Progress},
};

/// The level of zstd if nothing else is said.
pub const LEVEL: i32 = 9;

/// Base layers below this are not looked at.
const LEAST_BASE: u64 = 64 << 10;

/// Below this, to make a blob again costs less than to make sure that no other recipe makes its beginning.
const LEAST_BELIEVED: u64 = 4 << 20;

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct PackRequest {
    /// Where the packed file is to be, or what its volumes are named after ([`volume_path`]); without one the result is only
    /// measured.
    pub output: Option<PathBuf>,
    /// Bytes that a volume may have, where there are to be volumes.
    pub volume: Option<u64>,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
    /// Threads.
    pub jobs: usize,
    /// Bytes of memory that reading the packed file may take.
    pub memory: u64,
    /// The level of zstd, 1 to 22.
    pub level: i32,
    /// Layers that the receiver has.
    pub base: BaseOffer,
}

/// Layers that the receiver has, and where they can be read; none by default.
#[derive(Clone, Debug, Default)]
pub struct BaseOffer {
    /// Their descriptors.
    pub layers: Vec<Descriptor>,
    /// What reads them.
    pub contents: Option<Arc<dyn BaseContents>>,
}

impl PackRequest {
    /// To pack to `output`, with the usual settings.
    pub fn new(output: Option<PathBuf>, jobs: usize) -> Self {
        let base = BaseOffer::default();
        Self { output, volume: None, overwrite: false, jobs, memory: super::MEMORY, level: LEVEL, base }
    }

    /// The file by which the packed file is read: of volumes the first.
    pub fn path(&self) -> Option<PathBuf> {
        let output = self.output.as_ref()?;
        Some(if self.volume.is_some() { volume_path(output, 1) } else { output.clone() })
    }
}

/// How a blob was coded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedOutcome {
    /// The blob.
    pub blob: Descriptor,
    /// Bytes of it in the packed file; of one that is coded together with others, its share.
    pub packed: u64,
    /// How.
    pub coding: BlobCoding,
}

/// A way to code a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobCoding {
    /// A gzip stream, as its content and a recipe.
    Recipe,
    /// Compressed as it is.
    Plain,
    /// A gzip stream that no known encoder makes, as it is.
    Unknown,
    /// As it is, since coding would save less than a twentieth.
    Dense,
}

/// A bundle that was packed, or measured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackReport {
    /// The packed file, if one was written; of volumes the first.
    pub path: Option<PathBuf>,
    /// The volumes, where it is cut.
    pub volumes: Vec<PathBuf>,
    /// Its bytes, or what they would be.
    pub packed: u64,
    /// Bytes of the bundle.
    pub size: u64,
    /// The bundle id.
    pub id: Digest,
    /// Each config and layer, in the order of the bundle; empty where nothing had to be done.
    pub blobs: Vec<PackedOutcome>,
    /// Whether the packed file was there already.
    pub already_there: bool,
}

/// Packs `bundle`. Run again after a break it resumes.
///
/// # Errors
/// It is not a whole bundle of ours, it is damaged, or the file cannot be written or proven.
pub async fn pack(bundle: &Reader, request: &PackRequest, progress: &Progress) -> Result<PackReport> {
    let layout = packable(bundle)?;
    if let Some(path) = request.path().filter(|path| !request.overwrite && path.exists()) {
        let found = complete(&path, layout, request, progress).await?;
        return found.ok_or_else(|| files::Error::Exists { path }.into());
    }
    let mut doubted = BTreeSet::new();
    loop {
        let run = PackRun {
            blobs: BundleBlobs { reader: bundle.clone(), runtime: Handle::current() },
            layout: layout.clone(),
            request: request.clone(),
            progress: progress.clone(),
            doubted: doubted.clone(),
            stopped: Arc::default(),
        };
        let _on_drop = StopOnDrop(Arc::clone(&run.stopped));
        let (written, mut report) = off_reactor(move || run.write()).await?;
        let Some((output, frames)) = written else { return Ok(report) };
        let base = request.base.contents.clone();
        let settings = ReadSettings { memory: request.memory, base, ..ReadSettings::default() };
        let mut wrong = prove(bundle, output.medium()?, settings, request.jobs, progress).await?;
        if wrong.is_empty() {
            progress.tell(Event::Phase(Phase::Publishing));
            let paths = off_reactor(move || {
                let paths = output.publish()?;
                frames.remove().map(|()| paths)
            });
            let paths = paths.await?;
            report.volumes = if request.volume.is_some() { paths } else { Vec::new() };
            return Ok(report);
        }
        if !doubted.is_empty() {
            return Err(unproven(bundle, wrong.swap_remove(0).error));
        }
        // A recipe that made the beginning of a blob does not make all of it: now another must, or none.
        doubted = wrong.into_iter().map(|wrong| wrong.digest).collect();
    }
}

/// Tells the threads of a run that was dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn packable(bundle: &Reader) -> Result<&Layout> {
    let refuse = |reason| Error::NotPackable { path: bundle.path().to_owned(), reason };
    match (bundle.format(), bundle.layout()) {
        (Format::Bundle, _) if bundle.set_id().is_some() => Err(refuse("it is a volume, or a set of them")),
        (Format::Bundle, Some(layout)) => Ok(layout),
        _ => Err(refuse("it is not a bundle that airlift wrote")),
    }
}

fn seal_of(layout: &Layout) -> Digest {
    layout.facts().digest()
}

/// The packed file that is there already, if it is one of this bundle and sound.
async fn complete(
    path: &Path,
    layout: &Layout,
    request: &PackRequest,
    progress: &Progress,
) -> Result<Option<PackReport>> {
    let settings = ReadSettings { base: request.base.contents.clone(), ..ReadSettings::default() };
    let Ok((medium, volumes)) = placed(path, request.volume).await else { return Ok(None) };
    let size = medium.length();
    let Ok(packed) = PackedFile::open_in(medium, settings).await else { return Ok(None) };
    let own = packed.bundle();
    if own.seal != seal_of(layout) || own.id != layout.id() {
        return Ok(None);
    }
    if !check(packed.reader(), request.jobs, progress).await.is_ok_and(|wrong| wrong.is_empty()) {
        return Ok(None);
    }
    tidy(&files::name::partial(path));
    Ok(Some(PackReport {
        path: Some(path.to_owned()),
        volumes,
        packed: size,
        size: own.size,
        id: own.id,
        blobs: Vec::new(),
        already_there: true,
    }))
}

/// The packed file at `path`, or whose first volume of at most `volume` bytes that is, and the volumes.
async fn placed(path: &Path, volume: Option<u64>) -> Result<(Medium, Vec<PathBuf>)> {
    let Some(volume) = volume else { return Ok((Medium::open(path)?, Vec::new())) };
    let found = gather_near(path).await?;
    if found.head().stretch != volume.saturating_sub(MOST_HEAD) {
        return Err(files::Error::Exists { path: path.to_owned() }.into());
    }
    let volumes = found.files().map(|file| file.path.clone()).collect();
    Ok((found.join_files()?, volumes))
}

/// One run.
struct PackRun {
    blobs: BundleBlobs,
    layout: Layout,
    request: PackRequest,
    progress: Progress,
    /// Blobs that did not come back.
    doubted: BTreeSet<Digest>,
    stopped: Arc<AtomicBool>,
}

type WrittenPack = Option<(PackOutput, FramesFile)>;

impl PackRun {
    /// Writes the unfinished file. Blocks.
    fn write(&self) -> Result<(WrittenPack, PackReport)> {
        let path = self.blobs.reader.path();
        let PackRequest { output, volume, overwrite, .. } = &self.request;
        let open = |goal: &PathBuf| PackOutput::open(goal, *volume, *overwrite, &self.layout.id());
        let output = output.as_ref().map(open).transpose()?;
        let frames = output.as_ref().map(|output| FramesFile::open(output.path(), self.task())).transpose()?;
        let surveyed = self.survey(frames.as_ref())?;
        let base = self.survey_base()?;
        let surveys: Vec<&BlobSurvey> = base.iter().map(|(_, survey)| survey).collect();
        let mut contents = plan(self.layout.head_size(), &surveyed, &surveys, self.request.memory);
        let layers: Vec<BaseLayer> = used_base(&mut contents)
            .into_iter()
            .map(|number| {
                let (layer, survey) = &base[number];
                let (digest, gzip, length) = (layer.digest, survey.gzip, survey.length);
                BaseLayer { digest, gzip, length, size: layer.size }
            })
            .collect();
        let encoding = Encoding {
            blobs: &self.blobs,
            surveyed: &surveyed,
            contents: &contents,
            front: &self.layout.head(),
            base: self.request.base.contents.as_deref(),
            layers: &layers,
            level: self.request.level,
            to: frames.as_ref(),
            path,
        };
        let encoded = self.encode(&encoding)?;
        let head = self.head(&encoding, &encoded);
        let written = head.write();
        let packed = encoded.iter().fold(written.len() as u64, |sum, content| sum + content.size());
        let report = self.report(&encoding, &encoded, packed);
        let Some((mut output, frames)) = output.zip(frames) else { return Ok((None, report)) };
        let written_frames = encoded.iter().flat_map(|content| &content.frames);
        output.fill(self.layout.id(), &written, (&frames, written_frames), packed)?;
        Ok((Some((output, frames)), report))
    }

    /// What is packed, and with which settings.
    fn task(&self) -> Digest {
        let PackRequest { memory, level, base, .. } = &self.request;
        let layers: Vec<String> = base.layers.iter().map(|layer| layer.digest.to_string()).collect();
        let version = (env!("CARGO_PKG_VERSION"), zstd::zstd_safe::version_number());
        let doubted = &self.doubted;
        let text = format!("{} {memory} {level} {layers:?} {version:?} {doubted:?}", seal_of(&self.layout));
        Digest::sha256(text.as_bytes())
    }

    fn check_stopped(&self) -> Result<()> {
        let stopped = || std::io::Error::from(std::io::ErrorKind::Interrupted);
        if self.stopped.load(Ordering::Relaxed) {
            Err(Error::read(self.blobs.reader.path())(stopped()))
        } else {
            Ok(())
        }
    }

    fn survey(&self, frames: Option<&FramesFile>) -> Result<Vec<SurveyedBlob>> {
        let blobs: Vec<Descriptor> = self.layout.blobs().iter().map(bundle::TarEntry::descriptor).collect();
        self.progress.tell(Event::Phase(Phase::Planning));
        let bytes = blobs.iter().map(|blob| blob.size).sum();
        self.progress.tell(Event::Planned { blobs: blobs.len() as u64, bytes, present: 0 });
        largest_first(
            &blobs,
            self.request.jobs,
            |blob| blob.size,
            |blob| {
                self.check_stopped()?;
                self.progress.tell(Event::Started { blob: blob.digest, size: blob.size });
                let survey = match frames.and_then(|frames| frames.surveys.get(&blob.digest)) {
                    Some(known) => known.clone(),
                    None => self.survey_one(blob, frames)?,
                };
                self.progress.tell(Event::Advanced { blob: blob.digest, bytes: blob.size });
                self.progress.tell(Event::Finished { blob: blob.digest });
                Ok(SurveyedBlob { blob: blob.clone(), survey })
            },
        )
    }

    fn survey_one(&self, blob: &Descriptor, frames: Option<&FramesFile>) -> Result<BlobSurvey> {
        let path = self.blobs.reader.path();
        let is_proven_later = self.request.output.is_some() && !self.doubted.contains(&blob.digest);
        let is_believed = is_proven_later && blob.size >= LEAST_BELIEVED;
        let trial = if is_believed { RecipeTrial::Beginning } else { RecipeTrial::Whole };
        let found = survey(trial, || self.blobs.open(blob), |error| Error::read(path)(error))?;
        if let Some(frames) = frames {
            frames.add(&PackLine::Survey { digest: blob.digest, survey: Box::new(found.clone()) })?;
        }
        Ok(found)
    }

    /// The base layers that are large enough to be worth a look, each with what its content looks like.
    fn survey_base(&self) -> Result<Vec<(Descriptor, BlobSurvey)>> {
        let BaseOffer { layers, contents: Some(base) } = &self.request.base else { return Ok(Vec::new()) };
        let layers: Vec<&Descriptor> = layers.iter().filter(|layer| layer.size >= LEAST_BASE).collect();
        largest_first(
            &layers,
            self.request.jobs,
            |layer| layer.size,
            |&layer| {
                self.check_stopped()?;
                Ok((layer.clone(), survey_layer(&**base, layer)?))
            },
        )
    }

    fn encode(&self, encoding: &Encoding<'_>) -> Result<Vec<EncodedContent>> {
        self.progress.tell(Event::Phase(Phase::Transferring));
        let bytes = encoding.contents.iter().map(|content| content.length).sum();
        self.progress.tell(Event::Planned { blobs: encoding.contents.len() as u64, bytes, present: 0 });
        let numbers: Vec<usize> = (0..encoding.contents.len()).collect();
        let length = |&number: &usize| encoding.contents[number].length;
        largest_first(&numbers, self.request.jobs, length, |&number| {
            let content = &encoding.contents[number];
            let blob = content.blobs.first().map_or(self.layout.id(), |&blob| encoding.surveyed[blob].blob.digest);
            self.progress.tell(Event::Started { blob, size: content.length });
            let encoded = encoding.encode(number, |bytes| {
                self.progress.tell(Event::Advanced { blob, bytes });
                self.check_stopped()
            })?;
            self.progress.tell(Event::Finished { blob });
            Ok(encoded)
        })
    }

    fn head(&self, encoding: &Encoding<'_>, encoded: &[EncodedContent]) -> PackHead {
        let blob = |number: usize, expanded: bool, verbatim: bool| {
            let SurveyedBlob { blob, survey } = &encoding.surveyed[number];
            let survey = (!verbatim).then_some(survey);
            let nested = survey.and_then(|survey| survey.expanded.as_ref()).filter(|_| expanded);
            PackedBlob {
                checkpoints: survey.and_then(|survey| survey.checkpoints.clone()),
                digest: blob.digest,
                length: survey.map_or(blob.size, |survey| survey.length(expanded)),
                nested: nested.map(|expanded| expanded.nested.clone()),
                recipe: survey.and_then(|survey| survey.recipe.clone()),
                size: blob.size,
            }
        };
        let contents = encoding.contents.iter().zip(encoded).map(|(planned, content)| PackedContent {
            blobs: planned.blobs.iter().map(|&number| blob(number, planned.expanded, content.verbatim)).collect(),
            frames: content.frames.iter().map(|written| written.frame.clone()).collect(),
        });
        let (id, seal, size) = (self.layout.id(), seal_of(&self.layout), self.layout.total());
        PackHead {
            base: encoding.layers.to_vec(),
            bundle: PackedBundle { id, seal, size },
            contents: contents.collect(),
            front: self.layout.head_size(),
        }
    }

    fn report(&self, encoding: &Encoding<'_>, encoded: &[EncodedContent], packed: u64) -> PackReport {
        let mut outcomes: Vec<Option<PackedOutcome>> = vec![None; encoding.surveyed.len()];
        for (planned, content) in encoding.contents.iter().zip(encoded) {
            for &number in &planned.blobs {
                let SurveyedBlob { blob, survey } = &encoding.surveyed[number];
                let share = u128::from(content.size()) * u128::from(survey.length(planned.expanded))
                    / u128::from(planned.length.max(1));
                let coding = match (survey.recipe.is_some(), survey.gzip, content.verbatim) {
                    (_, false, true) | (true, _, true) => BlobCoding::Dense,
                    (true, ..) => BlobCoding::Recipe,
                    (false, true, _) => BlobCoding::Unknown,
                    (false, false, false) => BlobCoding::Plain,
                };
                let packed = if content.verbatim { blob.size } else { u64::try_from(share).unwrap_or(u64::MAX) };
                outcomes[number] = Some(PackedOutcome { blob: blob.clone(), packed, coding });
            }
        }
        PackReport {
            path: self.request.path(),
            volumes: Vec::new(),
            packed,
            size: self.layout.total(),
            id: self.layout.id(),
            blobs: outcomes.into_iter().flatten().collect(),
            already_there: false,
        }
    }
}
