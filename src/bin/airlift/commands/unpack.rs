use airlift::transfer::packing;
use serde_json::json;

use crate::{
    args::unpack::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::{digests, size},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let output = artifacts::local(&args.output)?;
    let from = artifacts::source(&args.file)?;
    let progress = context.progress();
    let base = args.packed.base.iter().map(|path| artifacts::source(path)).collect::<Result<Vec<_>, _>>()?;
    let (overwrite, jobs) = (args.overwrite, args.jobs.count());
    let request = packing::UnpackRequest { from, base, output: output.into(), overwrite, jobs };
    let report = runtime::run(async {
        let settings = artifacts::reading(&args.packed, context).await?;
        Ok(packing::unpack(&request, settings, &context.storage(), &progress).await?)
    })?;
    let answer = json!({
        "path": report.path, "bundle": report.id, "bytes": report.bytes, "already_there": report.already_there,
    });
    let again = if report.already_there { ", already there" } else { "" };
    context.answer(&answer, |_| {
        format!("{}: {}{again}\n{}", report.path.display(), size(report.bytes), digests(Some(report.id), None))
    })
}
