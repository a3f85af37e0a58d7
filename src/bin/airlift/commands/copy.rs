use std::path::Path;

use airlift::{
    bundle::{Gathered, gather},
    storage::{Location, Settings},
    transfer::{
        copy::{self, Request},
        copy_set, relay,
    },
};
use serde_json::{Value, json};

use crate::{
    args::copy::Args,
    artifacts,
    context::Context,
    failure::Failure,
    output::{count, size},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let (Location::Path(from), Location::Path(to)) = (artifacts::location(&args.from)?, artifacts::location(&args.to)?)
        // A volume that gets a name is copied alone.
        && (is_folder(&to) || !from.is_file())
        && let Some(set) = runtime::run(async { Ok(gather(vec![from]).await?) })?
    {
        return volumes(set, &to, args, context);
    }
    let (answer, text) = match (artifacts::location(&args.from)?, artifacts::location(&args.to)?) {
        (Location::Path(source), Location::Path(destination)) => {
            let (overwrite, delete_source) = (args.overwrite, args.delete_source);
            files(Request { source, destination, overwrite, delete_source }, context)?
        }
        (from, to) => {
            let (overwrite, delete_source) = (args.overwrite, args.delete_source);
            let (trust_checksums, jobs) = (args.trust_checksums, args.jobs.count());
            objects(&relay::Request { from, to, overwrite, delete_source, trust_checksums, jobs }, context)?
        }
    };
    context.answer(&answer, |_| text)
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

fn volumes(set: Gathered, to: &Path, args: &Args, context: &Context) -> Result<(), Failure> {
    let progress = context.progress();
    let (overwrite, delete_source) = (args.overwrite, args.delete_source);
    let copied = async { Ok(copy_set::copy(set, to, overwrite, delete_source, &progress).await?) };
    let copy_set::Report { folder, manifest, volumes, bytes, reused } = runtime::run(copied)?;
    let answer = json!({"path": manifest, "volumes": volumes, "bytes": bytes, "bytes_reused": reused});
    let number = count(volumes, "volume");
    let text = format!(
        "{}: {number}, {}{}, each read back and equal to the source\n",
        folder.display(),
        size(bytes),
        again(reused)
    );
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
    let relay::Report { location, bytes, reused, bundle, digest, attested } = report;
    let place = location.to_string();
    let proof = if attested { "checksum" } else { "read-back" };
    let mut answer = json!({"path": place, "bytes": bytes, "bytes_reused": reused, "proof": proof});
    let how = match (attested, bundle) {
        (true, _) => "which the storage's own SHA-256 proves",
        (false, Some(_)) => "read back, and every blob has its digest",
        (false, None) => "read back and equal to the source",
    };
    match bundle {
        Some(bundle) => answer["bundle"] = json!(bundle),
        None => answer["digest"] = json!(digest),
    }
    let name = bundle.or(digest).map(|digest| digest.to_string()).unwrap_or_default();
    Ok((answer, format!("{place}: {}{}, {how}\n{name}\n", size(bytes), again(reused))))
}

fn again(reused: u64) -> String {
    if reused > 0 { format!(", {} of it by an earlier run", size(reused)) } else { String::new() }
}
