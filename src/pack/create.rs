//! Packs a bundle: looks at every blob, plans, codes, writes the file, decodes all of it again, and only then gives it its name.

use std::{
    collections::BTreeMap,
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
    frames_file::{FramesFile, PackLine, tidy},
    head::{BaseLayer, HEAD, PackHead, PackedBlob, PackedBundle, PackedContent},
    medium::Medium,
    memory::MemoryLimit,
    opened::{PackedFile, ReadSettings},
    output::{PackOutput, stretch_of},
    parallel::largest_first,
    plan::{PlannedContent, SurveyedBlob, plan, used_base},
    proof::{WrongBlob, check, prove, unproven},
    request::{BaseOffer, BlobCoding, PackReport, PackRequest, PackedOutcome},
    survey::{BlobSurvey, RecipeTrial, survey},
    volumes::gather_near,
};
use crate::{
    bundle::{self, Format, Layout, Reader},
    files::{self, blocking::off_reactor},
    oci::{Descriptor, Digest},
    progress::{Event, Phase, Progress},
};

/// Base layers below this are not looked at.
const LEAST_BASE: u64 = 64 << 10;

/// Below this, to make a blob again costs less than to make sure that no other recipe makes its beginning.
const LEAST_BELIEVED: u64 = 4 << 20;

/// Bytes of a head that a blob takes besides its lists, and a frame, at the most.
const BLOB_IN_HEAD: usize = 300;
const FRAME_IN_HEAD: usize = 300;

/// Packs `bundle`. Run again after a break it resumes.
///
/// # Errors
/// It is not a whole bundle of ours, it is damaged, or the file cannot be written or proven.
pub async fn pack(bundle: &Reader, request: &PackRequest, progress: &Progress) -> Result<PackReport> {
    let layout = packable(bundle)?;
    if let Some(path) = request.path().filter(|path| !request.overwrite && path.exists()) {
        match complete(&path, layout, request, progress).await? {
            Some(report) => return Ok(report),
            None if request.volume.is_none() => return Err(files::Error::Exists { path }.into()),
            // Volumes that are lost are made again.
            None => {}
        }
    }
    pack_doubting(BTreeMap::new(), bundle, layout, request, progress).await
}

/// Packs, and what does not come back once more, until all does.
async fn pack_doubting(
    mut doubted: BTreeMap<Digest, Doubt>,
    bundle: &Reader,
    layout: &Layout,
    request: &PackRequest,
    progress: &Progress,
) -> Result<PackReport> {
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
        let wrong = prove(bundle, output.medium()?, settings, request.jobs, progress).await?;
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
        if let Some(error) = damaged_source(bundle, &wrong).await? {
            return Err(unproven(bundle, error));
        }
        for WrongBlob { digest, error } in wrong {
            let Some(doubt) = Doubt::after(doubted.get(&digest).copied()) else { return Err(unproven(bundle, error)) };
            doubted.insert(digest, doubt);
        }
    }
}

/// What is wrong with the first of these blobs that is wrong in the bundle already: another try comes to the same.
async fn damaged_source(bundle: &Reader, wrong: &[WrongBlob]) -> Result<Option<bundle::Error>> {
    let (reader, digests): (_, Vec<Digest>) = (bundle.clone(), wrong.iter().map(|wrong| wrong.digest).collect());
    off_reactor(move || {
        for check in reader.checks()?.iter().filter(|check| digests.contains(&check.digest)) {
            if let Err(mut found) = reader.run_check(check, &mut Vec::new(), |_| {}) {
                return Ok(Some(found.swap_remove(0).1));
            }
        }
        Ok(None)
    })
    .await
}

/// What is done about a blob that did not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// A recipe that made its beginning does not make all of it: now another must, or none.
    Recipe,
    /// What made all of it once did not do so again. It is stored as it is.
    Encoder,
}

impl Doubt {
    /// The next one; `None` if there is nothing more to try.
    const fn after(before: Option<Self>) -> Option<Self> {
        match before {
            None => Some(Self::Recipe),
            Some(Self::Recipe) => Some(Self::Encoder),
            Some(Self::Encoder) => None,
        }
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
    let (memory, base) = (request.memory, request.base.contents.clone());
    let settings = ReadSettings { memory, base, ..ReadSettings::default() };
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
    if found.head().stretch != stretch_of(volume) {
        return Err(files::Error::Exists { path: path.to_owned() }.into());
    }
    let volumes = found.files().map(|file| file.path.clone()).collect();
    Ok((found.join_files()?, volumes))
}

/// Whether there is room for these in the head.
fn fits_head(surveyed: &[SurveyedBlob], contents: &[PlannedContent]) -> bool {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let lists = surveyed.iter().map(|SurveyedBlob { survey, .. }| {
        let nested = survey.expanded.as_ref().map_or(0, |expanded| expanded.nested.len());
        BLOB_IN_HEAD + text(&survey.recipe) + text(&survey.checkpoints) + nested
    });
    let frames: usize = contents.iter().map(|content| content.frames.len()).sum();
    lists.sum::<usize>().saturating_add(FRAME_IN_HEAD.saturating_mul(frames)) <= HEAD.most
}

/// One run.
struct PackRun {
    blobs: BundleBlobs,
    layout: Layout,
    request: PackRequest,
    progress: Progress,
    /// Blobs that did not come back.
    doubted: BTreeMap<Digest, Doubt>,
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
        self.check_head(&surveyed, &contents)?;
        let memory = MemoryLimit::new(self.request.memory);
        let encoding = Encoding {
            blobs: &self.blobs,
            surveyed: &surveyed,
            contents: &contents,
            front: &self.layout.head(),
            base: self.request.base.contents.as_deref(),
            layers: &layers,
            level: self.request.level,
            memory: &memory,
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

    /// Checks that the head is not longer than any may be, before the work.
    fn check_head(&self, surveyed: &[SurveyedBlob], contents: &[PlannedContent]) -> Result<()> {
        if fits_head(surveyed, contents) {
            return Ok(());
        }
        Err(Error::HeadTooLong { path: self.blobs.reader.path().to_owned(), memory: self.request.memory })
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
        let is_believed = self.request.output.is_some() && blob.size >= LEAST_BELIEVED;
        let trial = match self.doubted.get(&blob.digest) {
            None if is_believed => RecipeTrial::Beginning,
            None | Some(Doubt::Recipe) => RecipeTrial::Whole,
            Some(Doubt::Encoder) => RecipeTrial::None,
        };
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

#[cfg(test)]
mod tests {
    use super::{super::tests::write_bundle, *};
    use crate::pack::{
        sketch::Sketch,
        survey::BlobSurvey,
        tests::{LAYER, gzip_layer},
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_recipe_makes_twice_is_stored_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, packed) = (folder.path().join("b.tar"), folder.path().join("b.pack"));
        write_bundle(&path).await;
        let bundle = Reader::open(&path).await.unwrap();
        let layer = Digest::sha256(&gzip_layer());
        let request = PackRequest::new(Some(packed.clone()), 1);
        let silent = Progress::silent();
        let coding = async |doubted| {
            let layout = packable(&bundle).unwrap();
            let request = PackRequest { overwrite: true, ..request.clone() };
            let report = pack_doubting(doubted, &bundle, layout, &request, &silent).await.unwrap();
            report.blobs.into_iter().find(|one| one.blob.digest == layer).unwrap().coding
        };
        assert_eq!(coding(BTreeMap::new()).await, BlobCoding::Recipe);
        assert_eq!(coding([(layer, Doubt::Recipe)].into()).await, BlobCoding::Recipe);
        assert_eq!(coding([(layer, Doubt::Encoder)].into()).await, BlobCoding::Unknown);
        let back = PackedFile::open(&packed, ReadSettings::default()).await.unwrap();
        assert!(check(back.reader(), 1, &silent).await.unwrap().is_empty());
        let steps = std::iter::successors(Doubt::after(None), |&doubt| Doubt::after(Some(doubt)));
        assert_eq!(steps.collect::<Vec<_>>(), [Doubt::Recipe, Doubt::Encoder]);
    }

    #[test]
    fn a_head_that_would_be_too_long_is_known_before_the_work() {
        let survey = |length| {
            let (recipe, sketch) = (Some("A".repeat(100)), Sketch::default());
            BlobSurvey { recipe, checkpoints: None, length, sketch, expanded: None, gzip: true }
        };
        let blob = |length| SurveyedBlob {
            blob: Descriptor::new("a/b", Digest::sha256(LAYER), length),
            survey: survey(length),
        };
        let fits = |length, memory| {
            let surveyed = [blob(length)];
            fits_head(&surveyed, &plan(10, &surveyed, &[], memory))
        };
        assert!(fits(4 << 30, 64 << 20) && fits(1 << 40, 1 << 30));
        assert!(!fits(64 << 30, 4 << 20));
        let long = SurveyedBlob { survey: BlobSurvey { recipe: Some("A".repeat(HEAD.most)), ..survey(9) }, ..blob(9) };
        assert!(!fits_head(&[long], &[]));
    }
}
