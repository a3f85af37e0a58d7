//! `export --plan`: one machine's share of the volumes.

use std::{fmt::Write as _, path::Path};

use airlift::{
    bundle::volume::Size,
    content::Code,
    files::small::ReportFile,
    transfer::{
        export::Request,
        shards::{self, PlanFile, PlannedList, SetPlace, Shard, Share, ShareReport, VolumeState},
    },
};

use super::destination;
use crate::{
    args::{Chosen, chosen::ForeignChoice, export::Args},
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::{Mistake, quoted},
    output::{
        count, json, report, size,
        table::{Column, table},
    },
    runtime,
};

pub(super) fn run(args: &Args, plan: &Path, context: &Context) -> Result<(), CommandError> {
    let saved = args.transfer.report.as_deref().map(ReportFile::check).transpose()?;
    let share = match (args.only_volume, args.sharded.shard().map_err(|source| Mistake::Shard { source })?) {
        (Some(number), _) => Share::Volume(number),
        (None, shard) => Share::Shard(shard.unwrap_or(Shard::ALL)),
    };
    let settings = context.storage();
    let name = plan.display().to_string();
    let plan = artifacts::plan(plan, &settings)?;
    if let Some(asked) = asked(&args.chosen, &plan)? {
        plan.check_list(&asked, None, &name)?;
    }
    let to = destination::set(&args.output, Size(plan.cut().size), None, args.overwrite, context)?;
    let to = SetPlace::of(&to, &settings).ok_or(Mistake::VolumesInOrder)?;
    let client = context.client(args.transfer.jobs)?;
    let mut request = Request::new(Vec::new());
    request.jobs = args.transfer.jobs.count();
    request.small_jobs = args.transfer.jobs.small();
    let progress = context.progress();
    let written = runtime::run(async {
        Ok(shards::export(plan, share, &to, args.overwrite, &client, &request, &progress).await)
    })?;
    let written = written.map_err(|error| failure(error, args))?;
    if let Some(file) = saved {
        file.save_alone(json::pretty(&written)?.as_bytes())?;
    }
    context.answer(&written, |written| text(written, args))
}

/// What the arguments ask for beside the plan; `None` where they ask for nothing.
fn asked(chosen: &Chosen, plan: &PlanFile) -> Result<Option<PlannedList>, CommandError> {
    let mut list = plan.list().clone();
    if !chosen.artifacts.is_empty() || !chosen.file.is_empty() {
        let counted = artifacts::asked_for(chosen)?;
        let Some(artifacts) = counted.in_registries() else { return Err(Mistake::PlanOfFiles.into()) };
        list = PlannedList { artifacts: PlannedList::of(&Request::new(artifacts)).artifacts, ..list };
    }
    if !chosen.platform.is_empty() {
        let mut request = Request::new(Vec::new());
        request.platforms.clone_from(&chosen.platform);
        list.platforms = PlannedList::of(&request).platforms;
    }
    list.foreign &= matches!(chosen.foreign, ForeignChoice::Include);
    list.referrers &= !chosen.no_referrers;
    Ok(Some(list))
}

/// The failure, with each artifact that it is about, and with a next step that fits.
fn failure(error: shards::Error, args: &Args) -> CommandError {
    let failure = match error {
        shards::Error::Transfer(error) => report::failure(error),
        error => error.into(),
    };
    let output = quoted(&args.output.to_string_lossy());
    failure.hint_for(
        &[Code::OutputExists],
        &format!("A volume there is not the one of the plan. Add `--overwrite` to replace the volumes of this share at {output}, or choose another DEST."),
    )
}

fn text(report: &ShareReport, args: &Args) -> String {
    let row = |volume: &shards::VolumeOutcome| {
        let state = match volume.state {
            VolumeState::Done => "done",
            VolumeState::AlreadyThere => "already there",
        };
        vec![volume.name.clone(), state.to_owned()]
    };
    let mut text = table(&[Column::Left("VOLUME"), Column::Left("STATE")], report.volumes.iter().map(row));
    let (own, all) = (report.volumes.len(), report.volumes_of_set);
    let (moved, reused) = (size(report.bytes_moved), size(report.bytes_reused));
    let _ = writeln!(text, "\n{} of {all}: {moved} moved, {reused} in place already", count(own, "volume"));
    let (plan, output) = (args.plan.as_deref().unwrap_or(Path::new("PLAN")), &args.output);
    if report.sealed {
        text.push_str("The set is sealed.\n");
    } else {
        let (plan, output) = (quoted(&plan.to_string_lossy()), quoted(&output.to_string_lossy()));
        let _ = writeln!(text, "Once every shard is done: airlift seal {plan} {output}");
    }
    text
}
