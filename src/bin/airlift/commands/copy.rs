use airlift::{
    content::Code,
    transfer::copy::{self, CopyProof, CopyReport, CopyRequest, PackedCheck},
    trust::record::Leg,
};
use serde_json::{Value, json};

use super::guarded;
use crate::{
    args::copy::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{count, digests, size},
    runtime,
};

/// What is wrong with the source, of which `copy` cannot make a sound copy.
const OF_SOURCE: &[Code] = &[
    Code::BundleTruncated,
    Code::BundleStructure,
    Code::BundleSeal,
    Code::BundleDigestMismatch,
    Code::BundleSizeMismatch,
    Code::BundleForeignEntry,
    Code::PackMalformed,
];
const BAD_SOURCE: &str = "The source is damaged itself, and so would be its copy: nothing was published. Copy from another medium that has a \
    sound one, or export the artifacts again, which gives the same bytes.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let explained = |failure: CommandError| {
        artifacts::or_repair(failure.hint_for(OF_SOURCE, BAD_SOURCE), std::slice::from_ref(&args.from))
    };
    copy(args, context).map_err(explained)
}

fn copy(args: &Args, context: &Context) -> Result<(), CommandError> {
    artifacts::warn_of_unfinished([&args.from], context);
    let to = args.to.to_string_lossy();
    let mut request = CopyRequest::new(artifacts::source(&args.from)?, artifacts::location(&args.to)?);
    request.to_folder = to.split('?').next().is_some_and(|text| text.ends_with('/'));
    request.overwrite = args.overwrite;
    request.delete_source = args.delete_source;
    request.trust_checksums = args.trust_checksums;
    request.jobs = args.jobs.count();
    if let Some(path) = request.from.path().filter(|path| path.join("oci-layout").is_file()) {
        return Err(Mistake::Layout { path: path.to_owned() }.into());
    }
    let progress = context.progress();
    let record = guarded::record(&args.record, false);
    record.check()?;
    let report = runtime::run(async {
        request.read = artifacts::reading(&args.packed, context).await?;
        let report = copy::copy(&request, &context.storage(), &progress).await?;
        let at = (&report.location, report.bundle);
        guarded::write(&record, (Leg::Copy, "done"), at, context, |entry| {
            (entry.from, entry.to) = (Some(request.from.to_string()), Some(report.location.to_string()));
        })
        .await?;
        Ok::<_, CommandError>(report)
    })?;
    context.answer(&answer(&report), |_| text(&report))
}

fn answer(report: &CopyReport) -> Value {
    let mut answer = json!({
        "path": report.location.to_string(),
        "bytes": report.bytes,
        "bytes_reused": report.reused,
        "already_there": report.already_there,
        "proof": if report.proof == CopyProof::Attested { "checksum" } else { "read-back" },
    });
    let members = [("bundle", report.bundle), ("digest", report.file)];
    for (name, digest) in members.into_iter().filter_map(|(name, digest)| Some((name, digest?))) {
        answer[name] = json!(digest);
    }
    if let Some(set) = &report.set {
        answer["volumes"] = json!(set.volumes);
        answer["recovery"] = json!(set.recovery);
    }
    if !report.companions.is_empty() {
        answer["companions"] = json!(report.companions);
    }
    answer
}

fn text(report: &CopyReport) -> String {
    let how = match (&report.set, report.proof, report.bundle) {
        (Some(_), ..) => "each proven equal to the source",
        (None, CopyProof::Attested, _) => "which the storage's own SHA-256 proves",
        (None, CopyProof::ReadBack, _) if report.packed == Some(PackedCheck::Bundle) => {
            "read back and equal to the source, and every blob of its bundle has its digest"
        }
        (None, CopyProof::ReadBack, _) if report.packed == Some(PackedCheck::File) => {
            "read back and equal to the source; to check the bundle in it, name with --base what it was packed against"
        }
        (None, CopyProof::ReadBack, _) if report.packed == Some(PackedCheck::Volume) => {
            "read back and equal to the source, and every byte is what the head of the volume says"
        }
        (None, CopyProof::ReadBack, Some(_)) if report.file.is_none() => "read back, and every blob has its digest",
        (None, CopyProof::ReadBack, _) => "read back and equal to the source",
    };
    let what = match &report.set {
        None => format!("{}: {}", report.location, size(report.bytes)),
        Some(set) if set.recovery > 0 => {
            let (volumes, recovery) = (count(set.volumes, "volume"), count(set.recovery, "file"));
            format!("{}: {volumes} and {recovery} of recovery data, {}", set.folder, size(report.bytes))
        }
        Some(set) => format!("{}: {}, {}", set.folder, count(set.volumes, "volume"), size(report.bytes)),
    };
    let again = match report.reused {
        _ if report.already_there => ", already there".to_owned(),
        0 => String::new(),
        reused => format!(", {} of it by an earlier run", size(reused)),
    };
    let beside = report.companions.iter().fold(String::new(), |text, name| text + "with " + name + "\n");
    format!("{what}{again}, {how}\n{beside}{}", digests(report.bundle, report.file))
}
