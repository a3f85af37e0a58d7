use std::{fmt::Write as _, path::PathBuf};

use airlift::{
    bundle::volume::Size,
    content::Code,
    transfer::{
        legs::LegRecord,
        shards::{self, PlanFile, Sealed, SetPlace, error::BadVolume},
    },
    trust::record::Leg,
};

use super::{
    export::{destination, signed::ExportSigning},
    guarded,
};
use crate::{
    args::seal::Args,
    artifacts,
    context::Context,
    failure::{self, CommandError},
    mistake::{Mistake, quoted},
    output::{count, digests, size},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let (settings, progress) = (context.storage(), context.progress());
    let plan = artifacts::plan(&args.plan, &settings)?;
    let to = destination::set(&args.output, Size(plan.cut().size), None, false, context)?;
    let place = SetPlace::of(&to, &settings).ok_or(Mistake::VolumesInOrder)?;
    let signing = ExportSigning::of(args.sign.as_deref(), &args.members, false, &to)?;
    let record = guarded::record(&args.record, signing.is_some());
    record.check()?;
    let sealed = runtime::run(async { Ok(shards::seal(&plan, &place, args.jobs.count(), &progress).await) })?;
    let sealed = sealed.map_err(|error| explained(error, args))?;
    runtime::run(conclude(&sealed, &plan, (&place, signing), &record, context))?;
    context.answer(&sealed, text)
}

/// Signs the set, and records the leg.
async fn conclude(
    sealed: &Sealed,
    plan: &PlanFile,
    (place, signing): (&SetPlace, Option<ExportSigning<'_>>),
    record: &LegRecord,
    context: &Context,
) -> Result<(), CommandError> {
    let signed = match signing {
        None => None,
        Some(signing) => Some(signing.sign(PathBuf::from(&sealed.output), context).await?),
    };
    let at = place.manifest();
    guarded::write(record, (Leg::Export, "done"), (&at, Some(sealed.bundle)), context, |entry| {
        entry.from = Some(plan.registries().into_iter().collect::<Vec<_>>().join(", "));
        entry.to = Some(at.to_string());
        let statement = signed.map(|signed| signed.statement);
        (entry.stream, entry.sequence, entry.reason) =
            statement.map(|one| (one.stream, one.sequence, one.reason)).unwrap_or_default();
    })
    .await
}

/// The failure, with a line for each volume, and the command that writes the first of them.
fn explained(error: shards::Error, args: &Args) -> CommandError {
    let shards::Error::Unfinished { bad, .. } = &error else { return error.into() };
    let line = |volume: &BadVolume| {
        let Some(source) = &volume.source else { return format!("{}: it is not there", volume.name) };
        std::iter::once(source.to_string()).chain(failure::causes(source)).fold(
            volume.name.clone(),
            |mut text, cause| {
                let _ = write!(text, ": {cause}");
                text
            },
        )
    };
    let lines = bad.iter().map(line).collect();
    let words = |path: &std::path::Path| quoted(&path.to_string_lossy());
    let (plan, output) = (words(&args.plan), words(&args.output));
    let overwrite = if bad.iter().any(|volume| volume.source.is_some()) { " --overwrite" } else { "" };
    let command = match &bad[..] {
        [one] => format!("airlift export --plan {plan} --only-volume {} -o {output}{overwrite}", one.number),
        _ if overwrite.is_empty() => format!("airlift export --plan {plan} -o {output}"),
        _ => {
            let numbers: Vec<String> = bad.iter().map(|volume| volume.number.to_string()).collect();
            let numbers = numbers.join(" ");
            format!(
                "for n in {numbers}; do airlift export --plan {plan} --only-volume $n -o {output} --overwrite; done"
            )
        }
    };
    let code = airlift::content::Fault::code(&error);
    let hint = format!(
        "Wait until every shard is done, or write what is missing here: `{command}`. Then run the same command again."
    );
    CommandError::from(error).details(lines).hint_for(&[code, Code::PlanUnfinished], &hint)
}

fn text(sealed: &Sealed) -> String {
    let state = if sealed.already_there { "was sealed already" } else { "sealed" };
    let (volumes, bytes) = (count(sealed.volumes, "volume"), size(sealed.bytes));
    format!("{}: {state}\n{volumes}, {bytes}\n{}", sealed.output.display(), digests(Some(sealed.bundle), None))
}
