//! What a run does: the engines of transfer, called with what the pipeline says.

use std::{path::Path, sync::Arc};

use futures::TryStreamExt;

use super::{
    context::RunContext,
    error::{Error, Result},
    recorder::Recorder,
    resource::{
        AccessMode, Container, ContainerType, ExportOption, ExportPipeline, ImportOption, ImportPipeline, Kind,
        PipelineIdentity, Resource, reference,
    },
    response::Response,
    row::Row,
    secret,
    state::Record,
};
use crate::{
    bundle::{
        GatheredSet, Goal, Layout,
        volume::{SetManifest, Size},
    },
    content::{Code, Fault, Targets},
    files::blocking::off_reactor,
    oci::{Algorithm, Digest, Hasher, Reference},
    pack::ReadSettings,
    progress::{Observe, Progress},
    registry::Client,
    storage::{self, Location, Object, Pinned, Settings},
    transfer::{
        self, ArtifactState, Opened, Report,
        base_at_target::TargetBase,
        delta::{self, base::Bases, open::BaseLocation},
        export::{self, Destination},
        import,
        resolve::ReferrerLimits,
        vouch::{self, VouchError},
    },
    trust::record::{Leg, RecordEntry, RecordedBundle},
};

/// A run that came to its end; artifacts of it may have failed.
pub(super) struct RunEnd {
    /// What the engine says; `None` where the row has it already, from before the process was killed.
    pub(super) report: Option<Report>,
    /// SHA-256 of the whole bundle, where it is known.
    pub(super) catalog_digest: Option<Digest>,
}

/// Does what `record` asks for.
pub(super) async fn execute(
    pipeline: &Resource,
    row: &Row,
    recorder: &Arc<Recorder>,
    with: &RunContext,
) -> Result<RunEnd> {
    let progress = Progress::to(Arc::clone(recorder) as Arc<dyn Observe>);
    let mut registry = with.registry.clone();
    registry.progress = progress.clone();
    let (client, record) = (Client::new(registry)?, row.record());
    let job = PipelineJob { client, progress, with, record, row, recorder };
    match pipeline {
        Resource::Export(pipeline) => {
            let settings = access(&pipeline.target, &pipeline.identity, &with.storage).await?;
            job.export(pipeline, &settings).await
        }
        Resource::Import(pipeline) => {
            let settings = access(&pipeline.source, &pipeline.identity, &with.storage).await?;
            job.import(pipeline, &settings).await
        }
        Resource::Run(_) => Err(Error::NotFound { id: job.record.run.request.pipeline }),
    }
}

/// How the container is opened in this run: with the secret that it names, which is fetched now and again when it is about
/// to end, or as the pipeline's identity.
///
/// # Errors
/// The secret cannot be had.
pub async fn access(container: &Container, identity: &PipelineIdentity, settings: &Settings) -> Result<Settings> {
    let mut settings = settings.clone();
    if let Some(id) = identity.user_assigned() {
        settings.identity = storage::AzureIdentity::Managed(Some(id.to_owned()));
    }
    if container.mode == Some(AccessMode::ManagedIdentity) {
        // A SAS that happens to lie in the environment is not what the pipeline says.
        settings.sas = None;
    }
    match &container.secret {
        Some(reference) => Ok(secret::signed(&settings, reference).await?),
        None => Ok(settings),
    }
}

struct PipelineJob<'a> {
    client: Client,
    progress: Progress,
    with: &'a RunContext,
    /// As it was at the beginning.
    record: Record,
    row: &'a Row,
    recorder: &'a Arc<Recorder>,
}

impl PipelineJob<'_> {
    async fn export(&self, pipeline: &ExportPipeline, settings: &Settings) -> Result<RunEnd> {
        let request = &self.record.run.request;
        let location = pipeline.place(&request.blob)?;
        let overwrite = pipeline.options.contains(&ExportOption::OverwriteBlobs);
        let wanted = export::Request {
            artifacts: references(&pipeline.registry, &request.artifacts)?,
            platforms: Vec::new(),
            foreign: export::Foreign::Include,
            referrers: true,
            continue_on_errors: pipeline.options.contains(&ExportOption::ContinueOnErrors),
            jobs: self.with.jobs,
            small_jobs: self.with.small_jobs,
            bases: Arc::new(self.bases(settings).await?),
            limits: ReferrerLimits::default(),
        };
        let object = storage::open(&location, settings)?;
        let to = match location {
            Location::Path(path) => {
                make_folders(&pipeline.target, &path).await?;
                if let Some(report) = self.finished_before(&wanted, &path, pipeline.volume_size, overwrite).await? {
                    return ended(report, &object).await;
                }
                match pipeline.volume_size {
                    Some(size) => Destination::Volumes(goal(&path, size, overwrite)),
                    None => Destination::File { path, overwrite },
                }
            }
            _ => Destination::Object { object: Arc::clone(&object), overwrite },
        };
        let report = export::run(&self.client, &wanted, to, &self.progress).await?;
        self.record_export(pipeline, &report, object.location(), settings).await?;
        ended(report, &object).await
    }

    async fn record_export(
        &self,
        pipeline: &ExportPipeline,
        report: &Report,
        location: &Location,
        settings: &Settings,
    ) -> Result<()> {
        let record = self.with.trust.record(false);
        if !record.is_kept() {
            return Ok(());
        }
        let found = Opened::survey(location, settings).await.ok().and_then(|(found, _)| vouch::at_hand(found.reader()));
        let result = if report.failed() { Code::TransferPartial.token() } else { "done" };
        let fill = |entry: &mut RecordEntry| {
            entry.bundle = found.map(|found| RecordedBundle { id: found.id, seal: found.seal });
            (entry.from, entry.to) = (Some(pipeline.registry.clone()), Some(location.to_string()));
        };
        Ok(record.append(Leg::Export, result, fill).map_err(VouchError::from)?)
    }

    /// What the receiver has by what the run names.
    async fn bases(&self, settings: &Settings) -> Result<Bases> {
        let named = self.record.run.request.base.iter().filter_map(|text| text.parse().ok());
        let targets: Arc<dyn Targets> = Arc::new(self.client.clone());
        Ok(delta::open::open(&named.collect::<Vec<BaseLocation>>(), Some(&targets), settings, &self.progress).await?)
    }

    /// The report of a run that was killed between giving the file its name and saying so. Objects in a storage are known by
    /// their metadata, and the engine sees to them.
    async fn finished_before(
        &self,
        wanted: &export::Request,
        path: &Path,
        volumes: Option<Size>,
        overwrite: bool,
    ) -> Result<Option<Report>> {
        if overwrite || self.record.response.resumed == 0 || !path.exists() {
            return Ok(None);
        }
        let plan = export::plan(&self.client, wanted, &self.progress).await?;
        let ours = Layout::of(plan.contents()).map_err(transfer::Error::from)?;
        let found = Opened::open(&Location::Path(path.to_owned()), &Settings::default()).await?;
        let found = found.reader();
        let same = match volumes {
            None => found.size() == ours.total(),
            Some(size) => found.cut().is_some_and(|cut| cut.size == size.0),
        };
        if found.id() != ours.id() || !same {
            return Ok(None);
        }
        let mut report = plan.report().clone();
        for outcome in &mut report.artifacts {
            if outcome.state == ArtifactState::NotReached {
                outcome.state = ArtifactState::AlreadyThere;
            }
        }
        report.bytes_reused = ours.blob_bytes();
        Ok(Some(report))
    }

    async fn import(&self, pipeline: &ImportPipeline, settings: &Settings) -> Result<RunEnd> {
        let request = &self.record.run.request;
        let location = pipeline.source.location(&request.blob)?;
        let has = |option| pipeline.options.contains(&option);
        let wanted = import::Request {
            to: target(&pipeline.registry)?,
            keep_host: false,
            map: Vec::new(),
            overwrite_tags: has(ImportOption::OverwriteTags),
            continue_on_errors: has(ImportOption::ContinueOnErrors),
            rewrite_foreign: false,
            check_blobs: false,
            verify_first: false,
            // It is removed here, between two notes of the state.
            delete_source: false,
            receipt: false,
            jobs: self.with.jobs,
            small_jobs: self.with.small_jobs,
        };
        if self.record.response.confirmed {
            if removed(&location, settings).await? {
                return Ok(RunEnd { report: None, catalog_digest: request.catalog_digest });
            }
            // What lies there now may be another one.
            self.row.note(|response| response.confirmed = false).await?;
        }
        if location.path().is_some_and(|path| !path.exists()) {
            return Err(storage::Error::NotFound { what: location.to_string() }.into());
        }
        let read = reading(&self.client, &pipeline.registry)?;
        let bundle = match request.catalog_digest {
            None => Opened::open_read(&location, settings, &read).await?,
            Some(expected) => open_if_equal(&location, settings, &read, expected).await?,
        };
        let bundles = std::slice::from_ref(&bundle);
        let mut admission = self.with.trust.admission(pipeline.trust.as_deref())?;
        let admitted = admission.admit(bundles, &pipeline.registry).await?;
        let outcome = import::run(&self.client, bundles, &wanted, &self.progress).await;
        admission.conclude(&admitted, outcome.as_ref().map_err(|error| (error, error.report())), &pipeline.registry)?;
        let report = outcome?;
        if has(ImportOption::DeleteSourceBlobOnSuccess) && !report.failed() {
            self.remove(&bundle, (&location, settings), &report).await?;
        }
        Ok(RunEnd { report: Some(report), catalog_digest: request.catalog_digest })
    }

    /// Removes the bundle once the target has confirmed everything. What it has confirmed is written down before: of a run
    /// that is killed between the removal and its end nothing else could tell any more that it was done.
    async fn remove(
        &self,
        bundle: &Opened,
        (location, settings): (&Location, &Settings),
        report: &Report,
    ) -> Result<()> {
        import::confirm(&self.client, report).await?;
        let (report, recorder) = (report.clone(), Arc::clone(self.recorder));
        let confirmed = move |response: &mut Response| {
            response.take(Kind::ImportPipeline, &report, |repository| recorder.retries_of(repository));
            response.confirmed = true;
        };
        self.row.note(confirmed).await?;
        // Of a set, what came while it was imported goes too: its manifest may be the last of its files.
        let now = match bundle.reader().set_id() {
            Some(set) => {
                Opened::survey(location, settings).await.ok().filter(|(now, _)| now.reader().set_id() == Some(set))
            }
            None => None,
        };
        Ok(now.map_or_else(|| bundle.clone(), |(now, _)| now).remove().await?)
    }
}

/// How packed files are read: what they were packed against is looked for where the artifacts go.
pub(super) fn reading(client: &Client, registry: &str) -> Result<ReadSettings> {
    let base = TargetBase::new(Arc::new(client.clone()), import::Request::new(target(registry)?));
    Ok(ReadSettings { finder: Some(Arc::new(base)), ..ReadSettings::default() })
}

/// The set of volumes whose manifest is to lie at `manifest`.
fn goal(manifest: &Path, size: Size, overwrite: bool) -> Goal {
    let folder = manifest.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let name = manifest.file_name().and_then(|name| name.to_str()).and_then(SetManifest::set_name).unwrap_or_default();
    Goal { folder, name: name.to_owned(), size, only: None, overwrite }
}

/// Whether what was at `location` is gone. Of a set that is being removed, the rest is removed.
async fn removed(location: &Location, settings: &Settings) -> Result<bool> {
    match storage::open(location, settings)?.stat().await {
        Err(error) if error.is_not_found() => return Ok(true),
        _ => {}
    }
    match Opened::survey(location, settings).await {
        Ok((rest, Some(set))) if !set.missing().is_empty() => rest.remove().await?,
        // Its manifest is all that is left, and was named.
        Err(error) if matches!(error.code(), Code::BundleVolumeMissing | Code::PackVolumeMissing) => {
            let object = storage::open(location, settings)?;
            object.delete(&object.stat().await?.version).await?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The bundle is read once more from where it lies now: what is said of it is true of what is there.
async fn ended(report: Report, object: &Arc<dyn Object>) -> Result<RunEnd> {
    let pinned = Pinned::open(Arc::clone(object)).await?;
    Ok(RunEnd { report: Some(report), catalog_digest: Some(digest(&pinned).await?) })
}

/// Opens the set if its manifest has the digest, and all of its volumes those that the manifest says.
async fn open_set_if_equal(location: &Location, opened: Opened, set: GatheredSet, expected: Digest) -> Result<Opened> {
    let wrong = |actual| Error::CatalogDigest { what: location.to_string(), expected, actual };
    let Some((_, manifest)) = set.manifest.clone() else {
        return Err(wrong(set.reader.id()));
    };
    let actual = Digest::sha256(&manifest.to_json());
    if actual != expected {
        return Err(wrong(actual));
    }
    let set = set.whole().map_err(transfer::Error::from)?;
    for (path, file) in set.reader.volumes().values().zip(&manifest.volumes) {
        let is_it = |one: &&Pinned| Path::new(&one.object().location().to_string()) == *path;
        let pinned = match opened.objects().iter().find(is_it) {
            Some(object) => object.clone(),
            None => Pinned::open(storage::open(&Location::Path((*path).to_owned()), &Settings::default())?).await?,
        };
        let actual = digest(&pinned).await?;
        if actual != file.digest {
            let what = path.display().to_string();
            return Err(Error::CatalogDigest { what, expected: file.digest, actual });
        }
    }
    Ok(opened)
}

/// Opens the bundle if all of it has the digest. It is read for that before anything else is done with it, and must not have
/// changed when it is opened then; from there on the one version that was opened is read.
async fn open_if_equal(
    location: &Location,
    settings: &Settings,
    read: &ReadSettings,
    expected: Digest,
) -> Result<Opened> {
    if let (opened, Some(set)) = Opened::survey_read(std::slice::from_ref(location), settings, read).await? {
        return open_set_if_equal(location, opened, set, expected).await;
    }
    let object = storage::open(location, settings)?;
    let pinned = Pinned::open(Arc::clone(&object)).await?;
    let actual = digest(&pinned).await?;
    if actual != expected {
        return Err(Error::CatalogDigest { what: location.to_string(), expected, actual });
    }
    let opened = Opened::open_read(location, settings, read).await?;
    if object.stat().await?.version != pinned.stat().version {
        return Err(storage::Error::Changed { what: location.to_string() }.into());
    }
    Ok(opened)
}

/// SHA-256 of an object, in the order of its bytes.
async fn digest(pinned: &Pinned) -> Result<Digest> {
    let mut chunks = pinned.chunks(0..pinned.stat().size).await?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(chunk) = chunks.try_next().await? {
        hasher = off_reactor(move || {
            hasher.update(&chunk);
            hasher
        })
        .await;
    }
    Ok(hasher.finish())
}

/// A bundle may lie deeper in its container than there are folders; the container itself must be there, as in any storage.
async fn make_folders(container: &Container, path: &Path) -> Result<()> {
    debug_assert_eq!(container.kind, ContainerType::FileSystem, "only paths have folders");
    let root = container.folder()?;
    if !root.path().is_some_and(|root| root.is_dir()) {
        return Err(storage::Error::NotFound { what: format!("the folder {root}") }.into());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        tokio::fs::create_dir_all(folder).await.map_err(|error| storage::Error::write(folder, error))?;
    }
    Ok(())
}

/// The artifacts in full. They were checked when they were asked for; what the state says may have been changed by hand.
fn references(registry: &str, artifacts: &[String]) -> Result<Vec<Reference>> {
    let full = |text: &String| {
        let damaged = |error| Error::Damaged { what: format!("the artifact {text}"), reason: format!("{error}") };
        reference(registry, text).map_err(damaged)
    };
    artifacts.iter().map(full).collect()
}

fn target(registry: &str) -> Result<transfer::destination::RegistryPrefix> {
    let damaged = |error| Error::Damaged { what: format!("the registry {registry}"), reason: format!("{error}") };
    registry.parse().map_err(damaged)
}
