use airlift::{bundle::head, files::small::ReportFile};
use serde_json::json;

use crate::{
    args::head::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::{count, digests, size},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    artifacts::warn_of_unfinished([&args.bundle], context);
    let file = ReportFile::check(&args.output)?;
    let bundle = runtime::run(artifacts::survey(&args.bundle, context))?;
    let contents = bundle.reader().contents();
    let head = head::encode(contents)?;
    file.save_alone(&head)?;
    let (id, artifacts, bytes) = (contents.index.id(), contents.index.roots().len(), head.len() as u64);
    let answer = json!({"bundle": id, "artifacts": artifacts, "path": args.output, "size": bytes});
    context.answer(&answer, |_| {
        let path = args.output.display();
        format!("{path}: head of {}, {}\n{}", count(artifacts, "artifact"), size(bytes), digests(Some(id), None))
    })
}
