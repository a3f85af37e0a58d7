use std::fmt::Write as _;

use airlift::{
    oci::PeerText,
    transfer::extract::{self, Extracted},
};

use crate::{args::extract::Args, artifacts, context::Context, failure::CommandError, output::size, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let folder = artifacts::local(&args.output)?;
    let progress = context.progress();
    let extracted = runtime::run(async {
        let bundle = artifacts::open_packed(&args.bundle, &args.packed, context).await?;
        Ok(extract::extract(&bundle, &args.artifact, folder, &progress).await?)
    })?;
    context.answer(&extracted, |extracted| text(extracted, folder))
}

fn text(extracted: &Extracted, folder: &std::path::Path) -> String {
    let done = if extracted.was_there { "already there" } else { "extracted" };
    let mut text = format!("{} ({done}, {})\n", extracted.artifact, extracted.digest);
    for file in &extracted.files {
        let path = folder.join(&file.path);
        let _ = writeln!(text, "  {}  {}", PeerText(&path.to_string_lossy()), size(file.bytes));
    }
    text
}
