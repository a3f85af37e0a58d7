//! A machine's share of a plan, written.

use std::{collections::VecDeque, sync::Arc};

use serde::Serialize;

use super::{
    super::{
        export::{Request, group::GroupExport},
        plan::Plan,
    },
    Error, PlanFile, SetPlace, Shard,
};
use crate::{
    bundle::volume::{Size, VolumeGroup},
    content::{Code, Fault, Origins},
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// Which volumes a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Those of one of several machines.
    Shard(Shard),
    /// One of them.
    Volume(u32),
}

/// What became of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    /// This run wrote it.
    Done,
    /// It was there, and every byte of it was read.
    AlreadyThere,
}

/// A volume of the share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeOutcome {
    /// Its name.
    pub name: String,
    /// From 1.
    pub number: u32,
    /// What became of it.
    pub state: VolumeState,
}

/// What a run wrote.
#[derive(Clone, Debug, Serialize)]
pub struct ShareReport {
    /// The id of the plan.
    pub plan: Digest,
    /// The id of the set.
    pub set: Digest,
    /// How many volumes the set has.
    pub volumes_of_set: u32,
    /// Whether the set is sealed already.
    pub sealed: bool,
    /// The volumes of the share.
    pub volumes: Vec<VolumeOutcome>,
    /// Blob bytes that were moved.
    pub bytes_moved: u64,
    /// Bytes that an earlier run had moved.
    pub bytes_reused: u64,
}

/// Writes the volumes of `share` that are not there. It resumes what an earlier run left of them.
///
/// # Errors
/// Those of an export, and what `place` has of another plan.
pub async fn export(
    plan: PlanFile,
    share: Share,
    place: &SetPlace,
    overwrite: bool,
    origins: &dyn Origins,
    request: &Request,
    progress: &Progress,
) -> Result<ShareReport, Error> {
    progress.tell(Event::Phase(Phase::Planning));
    let groups = groups(&plan, share)?;
    let sealed = place.begin(&plan).await?;
    let mut report = ShareReport {
        plan: plan.id(),
        set: plan.set(),
        volumes_of_set: plan.cut().volumes,
        sealed,
        volumes: Vec::new(),
        bytes_moved: 0,
        bytes_reused: 0,
    };
    let (contents, cut) = plan.into_parts();
    let to = place.destination(Size(cut.size), overwrite);
    let planned = Plan::of_contents(contents, origins, &cut.blobs_in(&groups.iter().flatten().copied().collect()))?;
    let mut run = GroupExport::new(planned, request, progress);
    let (cut, mut busy) = (Arc::new(cut), None);
    let mut waiting: VecDeque<Arc<VolumeGroup>> =
        groups.into_iter().map(|numbers| Arc::new(VolumeGroup { cut: Arc::clone(&cut), numbers })).collect();
    // What another process holds gets a second look after all the rest.
    let mut again = VecDeque::new();
    loop {
        let is_second = waiting.is_empty();
        let Some(group) = waiting.pop_front().or_else(|| again.pop_front()) else { break };
        match run.run(&group, &to).await {
            Ok(done) => {
                report.bytes_reused += done.reused;
                let state = if done.is_new { VolumeState::Done } else { VolumeState::AlreadyThere };
                let outcome = |&number: &u32| VolumeOutcome { name: place.volume_name(number), number, state };
                report.volumes.extend(group.numbers.iter().map(outcome));
            }
            Err(error) if error.code() == Code::OutputBusy && !is_second => again.push_back(group),
            Err(error) if error.code() == Code::OutputBusy => busy = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(error) = busy {
        return Err(error.into());
    }
    report.volumes.sort_by_key(|volume| volume.number);
    report.bytes_moved = run.moved();
    Ok(report)
}

fn groups(plan: &PlanFile, share: Share) -> Result<Vec<Vec<u32>>, Error> {
    match share {
        Share::Shard(Shard { index, count }) => Ok(plan.cut().share(index, count)),
        Share::Volume(number) => {
            let volumes = plan.cut().volumes;
            let is_one = (1..=volumes).contains(&number);
            is_one.then(|| vec![vec![number]]).ok_or_else(|| crate::bundle::Error::NoVolume { number, volumes }.into())
        }
    }
}
