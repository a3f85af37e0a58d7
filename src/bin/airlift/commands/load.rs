use std::fmt::Write as _;

use airlift::{
    load::{self, Loaded, Request},
    trust::record::Leg,
};

use super::guarded;
use crate::{args::load::Args, artifacts, context::Context, failure::CommandError, output::count, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let request = Request {
        artifacts: args.artifacts.clone(),
        into: args.into.clone(),
        address: args.address.clone(),
        namespace: args.namespace.clone(),
        platform: args.platform.clone().unwrap_or_else(load::node_platform),
    };
    let progress = context.progress();
    let record = guarded::record(&args.record, false);
    record.check()?;
    let loaded = runtime::run(async {
        let bundle = artifacts::open_packed(&args.bundle, &args.packed, context).await?;
        let (from, id) = (artifacts::location(&args.bundle)?, bundle.reader().id());
        let loaded = load::run(&[bundle], &request, &progress).await?;
        guarded::write(&record, (Leg::Load, "done"), (&from, Some(id)), context, |entry| {
            (entry.from, entry.to) = (Some(from.to_string()), Some(loaded.into.clone()));
        })
        .await?;
        Ok::<_, CommandError>(loaded)
    })?;
    context.answer(&loaded, text)
}

fn text(loaded: &Loaded) -> String {
    let mut text = format!("{} in {}\n", count(loaded.images.len(), "image"), loaded.into);
    for image in &loaded.images {
        let _ = writeln!(text, "  {}  {}", image.image, image.digest);
    }
    text
}
