//! `import --shard`: the blobs of one machine.

use airlift::{
    oci::Digest,
    storage::Location,
    transfer::{
        Report,
        import::{self, Request},
        shards::Shard,
    },
};
use serde::Serialize;

use crate::{
    args::import::Args,
    commands::guarded::{admission, refusal},
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{count, report, size},
    runtime,
};

/// The answer of `import --shard`.
#[derive(Serialize)]
struct ShareAnswer {
    shard: String,
    bundles: Vec<Digest>,
    /// Of this machine, each once.
    blobs: u64,
    bytes_moved: u64,
    bytes_reused: u64,
}

pub(super) fn run(
    args: &Args,
    shard: Shard,
    (places, request): (&[Location], &Request),
    context: &Context,
) -> Result<(), CommandError> {
    if let Some(option) = of_publishing(args) {
        return Err(Mistake::NotForShards { option }.into());
    }
    let (targets, progress) = (super::targets(args, context)?, context.progress());
    let admission = admission(&args.trust)?;
    let (mut ids, mut blobs) = (Vec::new(), 0);
    let outcome = runtime::run(async {
        let bundles = super::open(args, places, (&targets, request), context).await?;
        admission.check(&bundles).await.map_err(refusal)?;
        ids = bundles.iter().map(|bundle| bundle.reader().id()).collect();
        let outcome = import::share(&*targets, &bundles, request, shard, &progress).await;
        Ok(outcome.map(|(report, pushed)| {
            blobs = pushed;
            report
        }))
    })?;
    let answer = |report: &Report| {
        let (bytes_moved, bytes_reused) = (report.bytes_moved, report.bytes_reused);
        let answer = ShareAnswer { shard: shard.to_string(), bundles: ids.clone(), blobs, bytes_moved, bytes_reused };
        context.answer(&answer, text)
    };
    report::conclude(outcome, &args.transfer, context, answer)
}

/// An option that means something to the run that publishes only.
fn of_publishing(args: &Args) -> Option<&'static str> {
    let taken = &args.taken;
    let given = [
        ("--delete-source", args.delete_source),
        ("--receipt", args.receipt.is_some()),
        ("--volume-prompt", args.volume_prompt),
        ("--dry-run", args.transfer.dry_run),
        ("--check-with", args.checks.settings().is_some()),
        ("--file", !taken.file.is_empty()),
        ("--only", !taken.only.is_empty()),
        ("--platform", !taken.platform.is_empty()),
        ("--no-referrers", taken.no_referrers),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
}

fn text(answer: &ShareAnswer) -> String {
    let (moved, reused) = (size(answer.bytes_moved), size(answer.bytes_reused));
    let blobs = count(answer.blobs, "blob");
    format!(
        "shard {}: {blobs}, {moved} moved, {reused} in place already\nOnce every shard is done, the same command without --shard publishes the artifacts.\n",
        answer.shard
    )
}
