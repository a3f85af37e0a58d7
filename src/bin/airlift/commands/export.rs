mod destination;

use airlift::{
    content::Code,
    transfer::{
        export::{self, Destination, Request},
        protect,
        resolve::Limits,
    },
};

use crate::{
    args::export::{Args, Foreign},
    artifacts,
    context::Context,
    failure::Failure,
    mistake::Mistake,
    output::{plan, report},
    runtime,
};

/// What can go wrong with standard output, where nothing of it is kept.
const OF_STREAMS: &[Code] = &[Code::OutputSpace, Code::IoWrite, Code::Interrupted];
const STREAM: &str = "The output so far is not a complete bundle, and a stream cannot be resumed. Run the command again, or write to a \
    file with `-o FILE`, which can be resumed.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    report::check(&args.transfer)?;
    let request = request(args)?;
    let to = destination::of(args, context)?;
    if args.recovery.is_some() && !matches!(to, Destination::File { .. } | Destination::Volumes(_)) {
        return Err(Mistake::RecoveryElsewhere.into());
    }
    let client = context.client()?;
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(export::plan(&client, &request, &progress).await) })?;
        let set = match &to {
            Destination::Volumes(goal) => Some((&*goal.name, goal.size, goal.only)),
            Destination::Set(prefix) => Some((&*prefix.name, prefix.size, prefix.only)),
            _ => None,
        };
        return plan::export(planned, set, &args.transfer, context);
    }
    let is_stdout = matches!(to, Destination::Stdout);
    let outcome = runtime::run(async {
        Ok(match (args.recovery, &to) {
            (Some(percent), Destination::File { path, overwrite }) => {
                protect::export(&client, &request, (path, *overwrite), percent, &progress).await
            }
            (Some(percent), Destination::Volumes(goal)) => {
                protect::export_set(&client, &request, goal.clone(), percent, &progress).await
            }
            _ => export::run(&client, &request, to, &progress).await,
        })
    });
    let conclude = |outcome| {
        report::conclude(outcome, &args.transfer, context, |found| {
            if is_stdout { context.answer_aside(found, report::text) } else { context.answer(found, report::text) }
        })
    };
    let ended = outcome.and_then(conclude);
    if is_stdout { ended.map_err(|failure| failure.hint_for(OF_STREAMS, STREAM)) } else { ended }
}

fn request(args: &Args) -> Result<Request, Failure> {
    Ok(Request {
        artifacts: artifacts::asked_for(args)?,
        platforms: args.platform.clone(),
        foreign: match args.foreign {
            Foreign::Include => export::Foreign::Include,
            Foreign::Skip => export::Foreign::Skip,
        },
        referrers: !args.no_referrers,
        continue_on_errors: args.transfer.continue_on_errors,
        jobs: args.transfer.jobs.count(),
        limits: Limits::default(),
    })
}
