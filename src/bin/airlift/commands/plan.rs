use airlift::{
    content::Origins,
    oci::Digest,
    storage::Location,
    transfer::{
        Outcome, export,
        shards::{self, MadePlan},
    },
};
use serde::Serialize;

use crate::{
    args::plan::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::{Mistake, quoted},
    output::{self, count, report},
    runtime,
};

/// The answer of `plan`.
#[derive(Serialize)]
struct PlanAnswer<'a> {
    plan: Digest,
    set: Digest,
    bundle: Digest,
    output: String,
    volumes: u32,
    volume_size: u64,
    bytes: u64,
    already_there: bool,
    artifacts: &'a [Outcome],
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    report::check(&args.transfer)?;
    let place = artifacts::location(&args.output)?;
    if matches!(place, Location::Standard) {
        return Err(Mistake::PlanInStream.into());
    }
    if !args.from.is_empty() {
        return Err(Mistake::PlanFromPlace.into());
    }
    if !args.base.is_empty() {
        return Err(Mistake::PlanOfUpdate.into());
    }
    let asked = artifacts::asked_for(&args.chosen)?;
    let client = context.client(args.transfer.jobs)?;
    let Some(found) = asked.in_registries() else { return Err(Mistake::PlanOfFiles.into()) };
    let request = artifacts::chosen(&args.chosen, found, &args.transfer);
    let (origins, progress): (&dyn Origins, _) = (&client, context.progress());
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(export::plan(origins, &request, &progress).await) })?;
        return output::plan::export(planned, Some(("NAME", args.volume_size, None)), &args.transfer, context);
    }
    let (size, settings) = (args.volume_size, context.storage());
    let made = runtime::run(async {
        Ok(shards::make(origins, &request, size, (&place, args.overwrite), &settings, &progress).await)
    })?;
    let made = match made {
        Ok(made) => made,
        Err(shards::Error::Transfer(error)) => {
            return report::conclude(Err(error), &args.transfer, context, |_| Ok(()));
        }
        Err(error) => return Err(error.into()),
    };
    report::conclude(Ok(made.report.clone()), &args.transfer, context, |_| show(&made, args, context))
}

fn show(made: &MadePlan, args: &Args, context: &Context) -> Result<(), CommandError> {
    let MadePlan { plan, report, already_there } = made;
    let cut = plan.cut();
    let answer = PlanAnswer {
        plan: plan.id(),
        set: plan.set(),
        bundle: plan.contents().index.id(),
        output: artifacts::location(&args.output)?.to_string(),
        volumes: cut.volumes,
        volume_size: cut.size,
        bytes: cut.pieces.iter().map(|piece| piece.size).sum(),
        already_there: *already_there,
        artifacts: &report.artifacts,
    };
    context.answer(&answer, |answer| {
        let (artifacts, volumes) = (count(report.artifacts.len(), "artifact"), count(answer.volumes as usize, "volume"));
        let (bytes, place) = (output::size(answer.bytes), quoted(&answer.output));
        let state = if *already_there { "was there already" } else { "written" };
        format!(
            "{}: {state}\n{artifacts}, {bytes} in {volumes}\nplan {}\n\nNext, on each of N machines, with I from 0: airlift export --plan {place} \
             --shard I/N -o DEST\nThen, on one of them: airlift seal {place} DEST\n",
            answer.output, answer.plan
        )
    })
}
