use airlift::transfer::copy::{self, Report, Request};
use serde_json::json;

use crate::{args::copy::Args, artifacts, context::Context, failure::Failure, output::size, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let request = Request {
        source: artifacts::local(&args.from)?.to_owned(),
        destination: artifacts::local(&args.to)?.to_owned(),
        overwrite: args.overwrite,
        delete_source: args.delete_source,
    };
    let progress = context.progress();
    let Report { path, bytes, digest, reused, .. } = runtime::run(async { Ok(copy::copy(request, &progress).await?) })?;
    let answer = json!({"path": path, "bytes": bytes, "digest": digest, "bytes_reused": reused});
    context.answer(&answer, |_| {
        let again = if reused > 0 { format!(", {} of it by an earlier run", size(reused)) } else { String::new() };
        format!("{}: {}{again}, read back and equal to the source\n{digest}\n", path.display(), size(bytes))
    })
}
