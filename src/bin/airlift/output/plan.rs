//! `--dry-run`: the plan of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use airlift::{
    bundle::{
        Absent, Layout,
        volume::{Size, volume_name},
    },
    oci::{Descriptor, Digest},
    transfer::{
        self, ArtifactState, Outcome, import,
        outline::{Outline, outline},
        plan::Plan,
    },
};
use serde::Serialize;

use super::{
    count, report, size,
    table::{Column, table},
};
use crate::{args::Transfer, context::Context, failure::CommandError};

/// The plan of an export.
#[derive(Serialize)]
struct PlannedExport<'a> {
    artifacts: &'a [Outcome],
    /// Manifests included, in the order they have in the bundle.
    blobs: Vec<Descriptor>,
    /// Bytes of all of them.
    bytes: u64,
    absent: &'a [Absent],
    /// Bytes of the whole file.
    bundle_bytes: u64,
    bundle: Digest,
    /// The volumes of a set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<PlannedVolume>,
}

/// A planned volume.
#[derive(Serialize)]
struct PlannedVolume {
    name: String,
    #[serde(flatten)]
    outline: Outline,
}

/// A planned set: its name, the size of its volumes, and the one volume to write if not all.
pub(crate) type PlannedSet<'a> = (&'a str, Size, Option<u32>);

/// The plan of an import.
#[derive(Serialize)]
struct PlannedImport<'a> {
    artifacts: &'a [Outcome],
    bytes: u64,
    bytes_present: u64,
    warnings: &'a [String],
}

/// Prints the plan of an export.
pub(crate) fn export(
    planned: Result<Plan, transfer::Error>,
    set: Option<PlannedSet<'_>>,
    options: &Transfer,
    context: &Context,
) -> Result<(), CommandError> {
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => return report::conclude(Err(error), options, context, |_| Ok(())),
    };
    let layout = Layout::of(plan.contents())?;
    let volumes = match set {
        Some(set) => volumes(&plan, set)?,
        None => Vec::new(),
    };
    let order = plan.contents().order()?;
    let bare = |one: &Descriptor| Descriptor::new(one.media_type.clone(), one.digest, one.size);
    let manifests = order.manifests.iter().map(|(one, _)| bare(one));
    let blobs: Vec<_> = manifests.chain(order.blobs.iter().map(|one| bare(one))).collect();
    let answer = PlannedExport {
        artifacts: &plan.report().artifacts,
        bytes: blobs.iter().map(|blob| blob.size).sum(),
        blobs,
        absent: &layout.facts().absent,
        bundle_bytes: layout.total(),
        bundle: layout.id(),
        volumes,
    };
    report::conclude(Ok(plan.report().clone()), options, context, |report| {
        context.answer(&answer, |answer| export_text(&report::artifacts(report, planned_state), answer))
    })
}

fn volumes(plan: &Plan, (name, size, only): PlannedSet<'_>) -> Result<Vec<PlannedVolume>, CommandError> {
    let outlines = outline(plan.contents(), size, only)?;
    let named = |outline: Outline| PlannedVolume { name: volume_name(name, outline.number), outline };
    Ok(outlines.into_iter().map(named).collect())
}

/// The volumes, as a table; which artifacts are in each, on lines of their own.
fn volumes_text(volumes: &[PlannedVolume]) -> String {
    let mut text = table(
        &[Column::Left("VOLUME"), Column::Right("SIZE"), Column::Left("CONTENT OF")],
        volumes.iter().flat_map(|PlannedVolume { name, outline }| {
            let mut artifacts = outline.artifacts.iter().map(ToString::to_string);
            let first = vec![name.clone(), size(outline.bytes), artifacts.next().unwrap_or_default()];
            std::iter::once(first).chain(artifacts.map(|artifact| vec![String::new(), String::new(), artifact]))
        }),
    );
    let bytes = volumes.iter().map(|volume| volume.outline.bytes).sum();
    let _ = writeln!(text, "{}, {}", count(volumes.len(), "volume"), size(bytes));
    text
}

fn export_text(artifacts: &str, answer: &PlannedExport) -> String {
    let mut text = artifacts.to_owned();
    let blobs = count(answer.blobs.len(), "blob");
    let _ = writeln!(text, "\n{blobs}, {}; a bundle of {}", size(answer.bytes), size(answer.bundle_bytes));
    let mut absent: BTreeMap<String, usize> = BTreeMap::new();
    for one in answer.absent {
        // The word that airlift.json uses, so that a reader finds it in the bundle again.
        let reason = serde_json::to_value(one.reason).unwrap_or_default();
        *absent.entry(reason.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    for (reason, number) in absent {
        let _ = writeln!(text, "left out ({reason}): {}", count(number, "blob"));
    }
    let _ = writeln!(text, "bundle {}", answer.bundle);
    if !answer.volumes.is_empty() {
        let _ = write!(text, "\n{}", volumes_text(&answer.volumes));
    }
    text
}

/// Prints the plan of an import.
pub(crate) fn import(
    planned: Result<import::ImportPlan, transfer::Error>,
    options: &Transfer,
    context: &Context,
) -> Result<(), CommandError> {
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => return report::conclude(Err(error), options, context, |_| Ok(())),
    };
    let (bytes, bytes_present) = plan.totals();
    let found = plan.report();
    let answer = PlannedImport { artifacts: &found.artifacts, bytes, bytes_present, warnings: &found.warnings };
    report::conclude(Ok(found.clone()), options, context, |report| {
        context.answer(&answer, |answer| {
            let artifacts = report::artifacts(report, planned_state);
            let (bytes, present) = (size(answer.bytes), size(answer.bytes_present));
            format!("{artifacts}\nThe target needs {bytes} and already has {present} of it.\n")
        })
    })
}

const fn planned_state(state: ArtifactState) -> &'static str {
    match state {
        ArtifactState::NotReached => "planned",
        other => report::state(other),
    }
}
