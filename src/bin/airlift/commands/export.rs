mod delta;
pub(super) mod destination;
pub(super) mod packed;
mod share;
pub(super) mod signed;
mod source;
mod written;

use std::path::Path;

use airlift::{
    content::Code,
    transfer::export::{self, Destination},
};

use super::guarded;
use crate::{
    args::export::Args,
    context::Context,
    failure::CommandError,
    mistake::{Mistake, quoted},
    output::{plan, report},
    runtime,
};

/// What can go wrong with standard output, where nothing of it is kept.
const OF_STREAMS: &[Code] = &[Code::OutputSpace, Code::IoWrite, Code::Interrupted];
const STREAM: &str = "The output so far is not a complete bundle, and a stream cannot be resumed. Run the command again, or write to a \
    file with `-o FILE`, which can be resumed.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    if let Some(plan) = &args.plan {
        return share::run(args, plan, context);
    }
    if args.sharded.shard.is_some() {
        return Err(Mistake::ShardWithoutPlan.into());
    }
    report::check(&args.transfer)?;
    let (origins, mut request) = runtime::run(source::of(args, context))?;
    let origins = &*origins;
    let to = destination::of(args, context)?;
    let mut series = delta::series(args, &to)?;
    let turn = runtime::run(delta::leave_out(&mut request, series.as_mut(), args, context))?;
    if args.recovery.is_some() && !matches!(to, Destination::File { .. } | Destination::Volumes(_)) {
        return Err(Mistake::RecoveryElsewhere.into());
    }
    packed::check(args, &to)?;
    let signing = signed::of(args, &request, &to)?;
    let record = guarded::record(&args.record, signing.is_some());
    record.check()?;
    if args.checks.settings().is_some() && (args.recovery.is_some() || !matches!(to, Destination::File { .. })) {
        return Err(Mistake::CheckElsewhere.into());
    }
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(export::plan(origins, &request, &progress).await) })?;
        let set = match &to {
            Destination::Volumes(goal) => Some((&*goal.name, goal.size, goal.only)),
            Destination::Set(prefix) => Some((&*prefix.name, prefix.size, prefix.only)),
            _ => None,
        };
        return plan::export(planned, set, &args.transfer, context);
    }
    let is_stdout = matches!(to, Destination::Stdout);
    let outcome = runtime::run(async {
        let outcome = written::export(origins, &request, to, args, &progress).await?;
        let made = signed::conclude(&outcome, signing, &record, args, context).await;
        Ok((outcome, made))
    });
    let conclude = |outcome| {
        report::conclude(outcome, &args.transfer, context, |found| {
            if is_stdout { context.answer_aside(found, report::text) } else { context.answer(found, report::text) }
        })
    };
    let done = matches!(&outcome, Ok((Ok(report), Ok(()))) if report.output.is_some());
    let ended = outcome.and_then(|(outcome, made)| conclude(outcome).and(made));
    let ended = ended.map_err(|failure| beside_another_set(failure, args));
    if let (Some(series), Some(turn), true) = (series, turn, done && args.only_volume.is_none()) {
        runtime::run(series.note(&turn, context))?;
    }
    if is_stdout { ended.map_err(|failure| failure.hint_for(OF_STREAMS, STREAM)) } else { ended }
}

/// A folder has one list of sums, so it has one set.
fn beside_another_set(failure: CommandError, args: &Args) -> CommandError {
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = args.output.file_name().filter(|_| args.volume_size.is_some()) else { return failure };
    let name = name.to_string_lossy();
    if !folder.join("SHA256SUMS").exists() || folder.join(format!("{name}.set.json")).exists() {
        return failure;
    }
    let own = folder.join(&*name);
    let (place, own) = (quoted(&own.join(&*name).to_string_lossy()), quoted(&own.to_string_lossy()));
    failure.hint_for(
        &[Code::OutputExists],
        &format!("The folder has another set already, and its SHA256SUMS. Write this one into a folder of its own: `mkdir {own}`, then `-o {place}`."),
    )
}
