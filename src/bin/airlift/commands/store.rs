use std::time::Duration;

use airlift::{
    content::Code,
    store::{Collected, Store, Sweep},
};

use crate::{
    args::store::{Args, Gc, StoreCommand},
    context::Context,
    failure::CommandError,
    output::{count, size},
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match &args.what {
        StoreCommand::Gc(args) => gc(args, context),
    }
}

fn gc(args: &Gc, context: &Context) -> Result<(), CommandError> {
    let uploads_older_than = Duration::from_hours(args.keep_uploads.into());
    let swept = Store::sweep(&args.dir, Sweep::new(uploads_older_than, args.dry_run));
    let collected = swept.map_err(|error| {
        CommandError::from(error)
            .hint_for(&[Code::OutputBusy], "Stop the `airlift serve --store` that has it open, then run it again.")
            .hint_for(&[Code::UsageFile], "Give the folder that `airlift serve --store` is given.")
    })?;
    context.answer(&collected, |Collected { blobs, bytes, uploads, .. }| {
        let verb = if args.dry_run { "Would delete" } else { "Deleted" };
        let blobs = count(usize::try_from(*blobs).unwrap_or(usize::MAX), "blob");
        let uploads = count(usize::try_from(*uploads).unwrap_or(usize::MAX), "abandoned upload");
        format!("{verb} {blobs} of {} and {uploads}\n", size(*bytes))
    })
}
