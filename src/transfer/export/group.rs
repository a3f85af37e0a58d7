//! Some volumes of a planned set, as one of several machines writes them: whole, under their final names, and without what
//! would make them a set.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use super::{
    super::{complete::is_there, error::Error, plan::Plan, send::Stop, verify::verify},
    Destination, ExportRun, Request,
    destination::Prefix,
    prefix::VolumeLayout,
};
use crate::{
    bundle::{Goal, Writer, output::Output, volume::VolumeGroup},
    content,
    files::{self, blocking::off_reactor},
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// What became of a group of volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::transfer) struct GroupDone {
    /// Whether this run wrote it.
    pub(in crate::transfer) is_new: bool,
    /// Bytes that were there before.
    pub(in crate::transfer) reused: u64,
}

/// One machine's part of an export.
pub(in crate::transfer) struct GroupExport<'a>(ExportRun<'a>);

impl<'a> GroupExport<'a> {
    /// An export of what `plan` has.
    pub(in crate::transfer) fn new(plan: Plan, request: &'a Request, progress: &'a Progress) -> Self {
        Self(ExportRun { plan, request, progress, moved: Arc::default() })
    }

    /// Bytes that came from the source so far.
    pub(in crate::transfer) fn moved(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// Writes the volumes of `group`, unless they are there.
    ///
    /// # Errors
    /// Those of an export. One blob that cannot be had ends the run: the cut is fixed, so nothing can be left out.
    pub(in crate::transfer) async fn run(
        &mut self,
        group: &Arc<VolumeGroup>,
        to: &Destination,
    ) -> Result<GroupDone, Error> {
        match to {
            Destination::Volumes(goal) => self.write_folder(group, goal).await,
            Destination::Set(prefix) => self.write_storage(group, prefix).await,
            Destination::File { .. } | Destination::Object { .. } | Destination::Stdout => Ok(GroupDone::default()),
        }
    }

    async fn write_folder(&mut self, group: &Arc<VolumeGroup>, goal: &Goal) -> Result<GroupDone, Error> {
        let run = &mut self.0;
        if !goal.overwrite && run.is_complete(group, goal).await? {
            return Ok(GroupDone { is_new: false, reused: 0 });
        }
        let contents = run.plan.contents().clone();
        let writer = Writer::open_group(goal.clone(), Arc::clone(group), contents).await?;
        let (blobs, bytes, reused) = writer.totals();
        run.progress.tell(Event::Planned { blobs, bytes, present: reused });
        run.progress.tell(Event::Phase(Phase::Transferring));
        let writer = Arc::new(writer);
        let failed = run.move_blobs(&writer).await?;
        let writer = Arc::into_inner(writer).expect("every task that held the writer has ended");
        if !failed.is_empty() {
            return Err(run.failed(failed));
        }
        run.progress.tell(Event::Phase(Phase::Publishing));
        writer.finish().await?;
        Ok(GroupDone { is_new: true, reused })
    }

    async fn write_storage(&mut self, group: &VolumeGroup, to: &Prefix) -> Result<GroupDone, Error> {
        let run = &mut self.0;
        let contents = run.plan.contents();
        let set = VolumeLayout::of_group(contents, group)?;
        if !to.overwrite && to.is_there(&set, contents).await? {
            return Ok(GroupDone::default());
        }
        match run.send_set(&set, to).await {
            Ok(done) => Ok(GroupDone { is_new: done.is_new, reused: done.reused }),
            Err(Stop::Storage(error)) => Err(error.into()),
            Err(Stop::Bundle(error)) => Err(error.into()),
            Err(Stop::Blob(digest, error)) => Err(run.failed(HashMap::from([(digest, error)]))),
        }
    }
}

impl ExportRun<'_> {
    /// Whether a folder has the volumes of `group`, every byte of them.
    ///
    /// # Errors
    /// Something else is in the place of one.
    async fn is_complete(&self, group: &Arc<VolumeGroup>, goal: &Goal) -> Result<bool, Error> {
        let output = Output::group(goal.clone(), Arc::clone(group));
        for &number in &group.numbers {
            if !is_there(&output.volume(number))? {
                return Ok(false);
            }
        }
        let contents = self.plan.contents().clone();
        let (found, output) = off_reactor(move || (output.alike(contents), output)).await;
        let exists = || Error::from(files::Error::Exists { path: output.named() });
        let (reader, _) = found?.ok_or_else(exists)?;
        if !verify(&reader, self.request.jobs, self.progress).await?.is_sound() {
            return Err(exists());
        }
        output.tidy();
        Ok(true)
    }

    fn failed(&mut self, failed: HashMap<Digest, content::Error>) -> Error {
        self.plan.drop_blobs(failed);
        self.plan.take_error()
    }
}
