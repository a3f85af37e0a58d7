use std::path::Path;

use airlift::{bundle::Reader, transfer::verify::verify};

use crate::{
    args::verify::Args,
    artifacts,
    context::Context,
    failure::Failure,
    mistake::Mistake,
    output::findings::{self, Verdict},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut verdicts = Vec::new();
    for path in &args.bundles {
        verdicts.push(verdict(artifacts::local(path)?, args.jobs.count(), context)?);
    }
    context.answer(&verdicts, |verdicts| verdicts.iter().map(findings::text).collect())?;
    let bad = verdicts.iter().filter_map(|verdict| verdict.findings.first());
    match bad.clone().next() {
        None => Ok(()),
        Some(first) => Err(Mistake::Unsound { bad: bad.count(), all: verdicts.len(), code: first.code }.into()),
    }
}

/// Verifies one bundle. That it cannot be read as one is a finding, if its content is to blame.
fn verdict(path: &Path, jobs: usize, context: &Context) -> Result<Verdict, Failure> {
    let progress = context.progress();
    runtime::run(async {
        match Reader::open(path).await {
            Ok(reader) => Ok(Verdict::of(path, verify(&reader, jobs, &progress).await?)),
            Err(error) => Ok(Verdict::unreadable(path, error)?),
        }
    })
}
