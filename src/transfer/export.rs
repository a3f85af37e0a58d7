//! Export: registry → bundle.

pub(super) mod destination;
pub(super) mod group;
mod prefix;
pub(super) mod request;
mod segments;

use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{
    destination::{Destination, Prefix},
    request::{Foreign, Request},
};
use super::{
    complete,
    error::Error,
    execute::{self, BrokenMove, Meter, Move},
    failure::Side,
    plan::Plan,
    report::{ArtifactState, Report},
    scheduler::{self, Scheduler},
    send::{self, FileParts, Planned, SendMode, Sending, Stop},
};
use crate::{
    bundle::{Finished, Layout, StreamWriter, TarEntry, Writer},
    content::{self, Code, Fault, Origins, Verified},
    oci::{Descriptor, Digest},
    progress::{Event, Phase, Progress},
    storage::{Finish, Object, Parts, Upload, UploadSpec, parts},
};

/// Finds out what `request` means: resolves every artifact and asks the source for every blob. Nothing is written.
///
/// Artifacts that fail are in the plan's report; without `continue_on_errors` they are an error that names them all.
pub async fn plan(origins: &dyn Origins, request: &Request, progress: &Progress) -> Result<Plan, Error> {
    possible(Plan::make(origins, request, progress).await?, request)
}

/// As [`plan`], without a question about a blob.
pub(super) async fn resolved(origins: &dyn Origins, request: &Request, progress: &Progress) -> Result<Plan, Error> {
    let plan = Plan::resolved(origins, Side::Source, request, progress).await?;
    progress.tell(Event::Phase(Phase::Planning));
    possible(plan, request)
}

/// The plan, if `request` continues without what failed.
pub(super) fn possible(plan: Plan, request: &Request) -> Result<Plan, Error> {
    let hopeless = plan.contents().index.roots().is_empty();
    if !plan.failures().is_empty() && (hopeless || !request.continue_on_errors) {
        return Err(plan.into_error());
    }
    Ok(plan)
}

/// Exports: plans, then writes the bundle and gives it its name once every byte is proven.
///
/// A run that was stopped leaves a partial file; the same call resumes it.
pub async fn run(
    origins: &dyn Origins,
    request: &Request,
    to: Destination,
    progress: &Progress,
) -> Result<Report, Error> {
    complete::check(&to, request).await?;
    // Every blob is fetched anyway: to ask for each first would tell of a missing one sooner, at a third more requests. A plan
    // that goes on without what fails must know it before the layout is fixed, and a stream has no second try.
    let asks = request.continue_on_errors || matches!(to, Destination::Stdout);
    let plan =
        if asks { plan(origins, request, progress).await? } else { resolved(origins, request, progress).await? };
    if let Some(finished) = complete::complete(&to, plan.contents(), request.jobs, progress).await? {
        return Ok(complete::report(plan, finished));
    }
    match to {
        Destination::File { path, overwrite } => {
            let writer = Writer::open(&path, plan.contents().clone(), overwrite).await?;
            let run = ExportRun { plan, request, progress, moved: Arc::default() };
            run.into_file(writer).await
        }
        Destination::Volumes(goal) => {
            let writer = Writer::open_set(goal, plan.contents().clone()).await?;
            let run = ExportRun { plan, request, progress, moved: Arc::default() };
            run.into_file(writer).await
        }
        Destination::Object { object, overwrite } => {
            let run = ExportRun { plan, request, progress, moved: Arc::default() };
            run.into_object(&*object, overwrite).await
        }
        Destination::Set(prefix) => {
            let run = ExportRun { plan, request, progress, moved: Arc::default() };
            run.into_prefix(&prefix).await
        }
        Destination::Stdout => {
            let run = ExportRun { plan, request, progress, moved: Arc::default() };
            run.into_stream(tokio::io::stdout()).await
        }
    }
}

/// Exports into `out`, from the first byte of the bundle to the last. What was written is a bundle only if this ends well.
///
/// # Errors
/// Those of an export into a stream.
pub(crate) async fn into(
    origins: &dyn Origins,
    request: &Request,
    out: impl tokio::io::AsyncWrite + Unpin + Send,
    progress: &Progress,
) -> Result<Report, Error> {
    let plan = plan(origins, request, progress).await?;
    ExportRun { plan, request, progress, moved: Arc::default() }.into_stream(out).await
}

struct ExportRun<'a> {
    plan: Plan,
    request: &'a Request,
    progress: &'a Progress,
    moved: Arc<AtomicU64>,
}

impl ExportRun<'_> {
    async fn into_file(mut self, writer: Writer) -> Result<Report, Error> {
        let (_, _, reused) = writer.totals();
        self.tell_planned(reused);
        let writer = Arc::new(writer);
        let failed = self.move_blobs(&writer).await?;
        let writer = Arc::into_inner(writer).expect("every task that held the writer has ended");
        if !failed.is_empty() {
            self.plan.drop_blobs(failed);
            if !self.request.continue_on_errors || self.plan.contents().index.roots().is_empty() {
                return Err(self.plan.into_error());
            }
            writer.replan(self.plan.contents().clone()).await?;
        }
        self.progress.tell(Event::Phase(Phase::Publishing));
        let finished = writer.finish().await?;
        let output = finished.path.clone();
        Ok(self.report(&finished, reused, Some(output)))
    }

    /// Moves every blob that the writer lacks. Returns what failed.
    async fn move_blobs(&self, writer: &Arc<Writer>) -> Result<HashMap<Digest, content::Error>, Error> {
        let mut missing = writer.missing();
        scheduler::order(&mut missing, |blob| blob.whole);
        let mut failed = HashMap::new();
        let mut stopped = None;
        let go_on = self.request.continue_on_errors;
        let bytes = missing.iter().map(|blob| blob.whole).sum();
        let scheduler = Scheduler::new(self.request.jobs, self.request.small_jobs, bytes);
        let meter = Meter::new(self.progress, &self.moved).scheduled(&scheduler);
        // What else a move needs is put together when it begins: of very many blobs, each costs its place until then.
        let work = |place: TarEntry| {
            let (writer, meter) = (Arc::clone(writer), meter.clone());
            let blob = self.plan.described(&place.descriptor());
            let one = Move { origins: self.plan.origins(&blob.digest), arrived: writer.arrived(&blob), blob };
            async move { (place.digest, one.run(&*writer, &meter).await) }
        };
        let begins = |place: &TarEntry, _| scheduler.admits(place.digest, place.whole);
        execute::each(missing, begins, work, |(digest, result)| {
            scheduler.leaves(&digest);
            match result {
                Ok(()) => ControlFlow::Continue(Vec::new()),
                // A full disk is not an artifact's fault, and the next blob would meet it too.
                Err(broken) if is_local(&broken) => {
                    stopped = Some(broken.error);
                    ControlFlow::Break(())
                }
                Err(broken) => {
                    failed.insert(digest, broken.error);
                    if go_on { ControlFlow::Continue(Vec::new()) } else { ControlFlow::Break(()) }
                }
            }
        })
        .await?;
        match stopped {
            Some(error) => Err(error.into()),
            None => Ok(failed),
        }
    }

    async fn into_object(self, object: &dyn Object, overwrite: bool) -> Result<Report, Error> {
        let output = PathBuf::from(object.location().to_string());
        let mut run = self;
        loop {
            let layout = Layout::of(run.plan.contents())?;
            let finished = Finished { id: layout.id(), bytes: layout.total(), path: output.clone() };
            if !overwrite && complete::object(object, &layout).await? {
                return Ok(complete::report(run.plan, finished));
            }
            let stop = match run.send(&layout, object, overwrite).await {
                Ok(reused) => return Ok(run.report(&finished, reused, Some(output))),
                Err(stop) => stop,
            };
            run = run.without(stop)?;
        }
    }

    /// The same without the artifacts of a blob that cannot be had. Every position behind it changes, and parts cannot be
    /// moved: what was sent is sent again.
    fn without(mut self, stop: Stop) -> Result<Self, Error> {
        match stop {
            Stop::Storage(error) => return Err(error.into()),
            Stop::Bundle(error) => return Err(error.into()),
            Stop::Blob(digest, error) => self.plan.drop_blobs(HashMap::from([(digest, error)])),
        }
        if !self.request.continue_on_errors || self.plan.contents().index.roots().is_empty() {
            return Err(self.plan.into_error());
        }
        Ok(self)
    }

    /// Sends what is missing of the planned bundle and commits it; how many bytes an earlier run had sent.
    async fn send(&self, layout: &Layout, object: &dyn Object, overwrite: bool) -> Result<u64, Stop> {
        let parts = Parts::of(layout.total(), parts::USUAL, &object.limits(), object.location())?;
        let identity = format!("export\n{}\n{}\n{}", layout.id(), parts.total(), parts.size());
        let draft =
            UploadSpec { identity: Digest::sha256(identity.as_bytes()), parts, metadata: send::metadata(layout) };
        let upload: Arc<dyn Upload> = object.upload(&draft).await?.into();
        let supply = Planned { plan: &self.plan, layout, progress: self.progress, moved: &self.moved };
        let file = FileParts::Bundle(layout);
        let sending = Sending::new(&supply, file, Arc::clone(&upload), SendMode::Put, parts, self.progress);
        let mut sending = sending.jobs(self.request.jobs);
        let reused = sending.present();
        self.tell_planned(reused);
        let sent = sending.run().await?;
        upload.commit(&sent.notes, &Finish { overwrite, md5: Some(sent.md5) }).await?;
        Ok(reused)
    }

    async fn into_stream(self, out: impl tokio::io::AsyncWrite + Unpin + Send) -> Result<Report, Error> {
        self.tell_planned(0);
        let mut writer = StreamWriter::new(self.plan.contents(), out)?;
        let blobs: Vec<_> =
            writer.layout().blobs().iter().map(|place| self.plan.described(&place.descriptor())).collect();
        for blob in blobs {
            self.progress.tell(Event::Started { blob: blob.digest, size: blob.size });
            if let Err(broken) = self.stream_blob(&mut writer, &blob).await {
                if is_local(&broken) {
                    return Err(broken.error.into());
                }
                let mut plan = self.plan;
                plan.drop_blobs(HashMap::from([(blob.digest, broken.error)]));
                return Err(plan.into_error());
            }
            self.progress.tell(Event::Finished { blob: blob.digest });
        }
        let finished = writer.finish().await?;
        Ok(self.report(&finished, 0, None))
    }

    async fn stream_blob<W: tokio::io::AsyncWrite + Unpin + Send>(
        &self,
        writer: &mut StreamWriter<W>,
        blob: &Descriptor,
    ) -> Result<(), BrokenMove> {
        let not_found = || content::Error::NotFound { what: blob.digest.to_string() };
        let origin = self.plan.origins(&blob.digest).into_iter().next().ok_or_else(not_found);
        let origin = origin.map_err(BrokenMove::at_source)?;
        let source = Meter::new(self.progress, &self.moved).over(&origin);
        let body = Verified::open(source, blob).await.map_err(BrokenMove::at_source)?;
        let verdict = body.verdict();
        writer.push(blob, body).await.map_err(|error| BrokenMove::of(&verdict, error.into()))
    }

    fn tell_planned(&self, present: u64) {
        let (blobs, bytes) = self.plan.totals();
        self.progress.tell(Event::Planned { blobs, bytes, present });
        self.progress.tell(Event::Phase(Phase::Transferring));
    }

    fn report(self, finished: &Finished, reused: u64, output: Option<PathBuf>) -> Report {
        let moved = self.moved.load(Ordering::Relaxed);
        let mut report = self.plan.into_report();
        for outcome in &mut report.artifacts {
            if outcome.state == ArtifactState::NotReached {
                outcome.state = ArtifactState::Done;
                self.progress.tell(Event::Completed { artifact: outcome.reference.clone() });
            }
        }
        report.bytes_moved = moved;
        report.bytes_reused = reused;
        report.output = output;
        report.output_bytes = Some(finished.bytes);
        report.bundle = Some(finished.id);
        report
    }
}

/// Whether a failed move is the fault of this machine's disk, and not of what came.
fn is_local(broken: &BrokenMove) -> bool {
    let local = [Code::IoWrite, Code::IoRead, Code::OutputSpace, Code::Internal];
    broken.side == Side::Target && local.contains(&broken.error.code())
}
