use airlift::{
    storage::{Location, Settings},
    transfer::{
        copy::{self, Request},
        relay,
    },
};
use serde_json::{Value, json};

use crate::{args::copy::Args, artifacts, context::Context, failure::Failure, output::size, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (answer, text) = match (artifacts::location(&args.from)?, artifacts::location(&args.to)?) {
        (Location::Path(source), Location::Path(destination)) => {
            let (overwrite, delete_source) = (args.overwrite, args.delete_source);
            files(Request { source, destination, overwrite, delete_source }, context)?
        }
        (from, to) => {
            let (overwrite, delete_source) = (args.overwrite, args.delete_source);
            objects(&relay::Request { from, to, overwrite, delete_source, jobs: args.jobs.count() }, context)?
        }
    };
    context.answer(&answer, |_| text)
}

fn files(request: Request, context: &Context) -> Result<(Value, String), Failure> {
    let progress = context.progress();
    let report = runtime::run(async { Ok(copy::copy(request, &progress).await?) })?;
    let copy::Report { path, bytes, digest, reused } = report;
    let answer = json!({"path": path, "bytes": bytes, "digest": digest, "bytes_reused": reused});
    let again = again(reused);
    let text = format!("{}: {}{again}, read back and equal to the source\n{digest}\n", path.display(), size(bytes));
    Ok((answer, text))
}

fn objects(request: &relay::Request, context: &Context) -> Result<(Value, String), Failure> {
    let progress = context.progress();
    let report = runtime::run(async { Ok(relay::relay(request, &Settings::from_env(), &progress).await?) })?;
    let relay::Report { location, bytes, reused, bundle, digest } = report;
    let place = location.to_string();
    let mut answer = json!({"path": place, "bytes": bytes, "bytes_reused": reused});
    let proof = if let Some(bundle) = bundle {
        answer["bundle"] = json!(bundle);
        format!("read back, and every blob has its digest\n{bundle}\n")
    } else {
        answer["digest"] = json!(digest);
        let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
        format!("read back and equal to the source\n{digest}\n")
    };
    Ok((answer, format!("{place}: {}{}, {proof}", size(bytes), again(reused))))
}

fn again(reused: u64) -> String {
    if reused > 0 { format!(", {} of it by an earlier run", size(reused)) } else { String::new() }
}
