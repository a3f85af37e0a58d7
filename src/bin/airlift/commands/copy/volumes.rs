use airlift::{
    storage::Location,
    transfer::{
        copy_set::{self, Request},
        sets::FoundSet,
    },
};
use serde_json::json;

use super::again;
use crate::{
    args::copy::Args,
    context::Context,
    failure::CommandError,
    output::{count, size},
    runtime,
};

/// Copies a set of volumes whole.
pub(super) fn copy(found: FoundSet, to: Location, args: &Args, context: &Context) -> Result<(), CommandError> {
    let request = Request {
        to,
        overwrite: args.overwrite,
        delete_source: args.delete_source,
        trust_checksums: args.trust_checksums,
        jobs: args.jobs.count(),
    };
    let progress = context.progress();
    let report = runtime::run(async { Ok(copy_set::copy(found, &request, &context.storage(), &progress).await?) })?;
    let copy_set::Report { folder, manifest, volumes, recovery, bytes, reused, already_there } = report;
    let answer = json!({
        "path": manifest.to_string(),
        "volumes": volumes,
        "recovery": recovery,
        "bytes": bytes,
        "bytes_reused": reused,
        "already_there": already_there,
    });
    let mut number = count(volumes, "volume");
    if recovery > 0 {
        number = format!("{number} and {} of recovery data", count(recovery, "file"));
    }
    let text = format!(
        "{folder}: {number}, {}{}, each proven equal to the source\n",
        size(bytes),
        again(reused, already_there)
    );
    context.answer(&answer, |_| text)
}
