mod volumes;

use std::path::Path;

use airlift::{
    bundle::volume::SetManifest,
    storage::Location,
    transfer::{
        copy::{self, Request},
        relay,
        sets::FoundSet,
    },
};
use serde_json::{Value, json};

use crate::{
    args::copy::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake, output::size, runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let (from, to) = (artifacts::location(&args.from)?, artifacts::location(&args.to)?);
    artifacts::warn_of_unfinished([&args.from], context);
    let into_folder = is_folder(&args.to, &to);
    if may_be_set(&from, into_folder)
        && let Some(found) =
            runtime::run(async { Ok(FoundSet::of(std::slice::from_ref(&from), &context.storage()).await?) })?
    {
        return volumes::copy(found, to, args, context);
    }
    if let Some(path) = from.path().filter(|path| path.join("oci-layout").is_file()) {
        return Err(Mistake::Layout { path: path.to_owned() }.into());
    }
    let (overwrite, delete_source) = (args.overwrite, args.delete_source);
    let (answer, text) = match (from, to) {
        (Location::Path(source), Location::Path(destination)) => {
            files(Request { source, destination, overwrite, delete_source }, context)?
        }
        (from, to) => {
            // Of a prefix only the slash at its end says that it is one.
            let name = from.split().filter(|_| into_folder && to.path().is_none()).map(|(_, name)| name);
            let to = name.map_or(to.clone(), |name| to.join(&name));
            let (trust_checksums, jobs) = (args.trust_checksums, args.jobs.count());
            objects(&relay::Request { from, to, overwrite, delete_source, trust_checksums, jobs }, context)?
        }
    };
    context.answer(&answer, |_| text)
}

/// Whether a place is one that things go into, and not the name of what is to be there.
fn is_folder(text: &Path, place: &Location) -> bool {
    let text = text.to_string_lossy();
    let ends = text.split('?').next().is_some_and(|text| text.ends_with('/'));
    match place {
        Location::Path(path) => path.is_dir() || ends,
        place => place.split().is_none() || ends,
    }
}

/// Whether a set may be meant. A volume that gets a name is copied alone.
fn may_be_set(from: &Location, into_folder: bool) -> bool {
    let name = from.split().map(|(_, name)| name).unwrap_or_default();
    let is_file = match from {
        Location::Path(path) => path.is_file(),
        Location::Standard => return false,
        _ => Path::new(&name).extension().is_some_and(|extension| extension == "tar"),
    };
    into_folder || !is_file || SetManifest::set_name(&name).is_some()
}

fn files(request: Request, context: &Context) -> Result<(Value, String), CommandError> {
    let progress = context.progress();
    let report = runtime::run(async { Ok(copy::copy(request, &progress).await?) })?;
    let copy::Report { path, bytes, digest, reused, already_there } = report;
    let answer = json!({
        "path": path, "bytes": bytes, "digest": digest, "bytes_reused": reused, "already_there": already_there,
    });
    let again = again(reused, already_there);
    let text = format!("{}: {}{again}, read back and equal to the source\n{digest}\n", path.display(), size(bytes));
    Ok((answer, text))
}

fn objects(request: &relay::Request, context: &Context) -> Result<(Value, String), CommandError> {
    let progress = context.progress();
    let report = runtime::run(async { Ok(relay::relay(request, &context.storage(), &progress).await?) })?;
    let relay::Report { location, bytes, reused, bundle, digest, already_there, attested } = report;
    let place = location.to_string();
    let proof = if attested { "checksum" } else { "read-back" };
    let mut answer = json!({
        "path": place, "bytes": bytes, "bytes_reused": reused, "already_there": already_there, "proof": proof,
    });
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
    Ok((answer, format!("{place}: {}{}, {how}\n{name}\n", size(bytes), again(reused, already_there))))
}

fn again(reused: u64, already_there: bool) -> String {
    if already_there {
        ", already there".to_owned()
    } else if reused > 0 {
        format!(", {} of it by an earlier run", size(reused))
    } else {
        String::new()
    }
}
