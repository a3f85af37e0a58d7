use std::sync::Arc;

use airlift::{
    pack::{BaseOffer, BlobCoding, PackReport, PackRequest, PackedOutcome, pack},
    transfer::Opened,
};
use serde_json::{Value, json};

use crate::{
    args::pack::Args,
    artifacts,
    commands::export::packed,
    context::Context,
    failure::CommandError,
    output::{
        count, size,
        table::{Column, short, table},
    },
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let output = args.output.as_deref().map(artifacts::local).transpose()?;
    let jobs = args.jobs.count();
    let goal = match output {
        Some(output) => packed::goal(output, args.volume_size, args.overwrite, jobs),
        None => PackRequest::new(None, jobs),
    };
    let mut request = PackRequest { memory: args.memory.0, level: args.level, ..goal };
    let progress = context.progress();
    let report = runtime::run(async {
        let bundle = artifacts::open(&args.bundle, context).await?;
        let places = args.base.iter().map(|path| artifacts::source(path)).collect::<Result<Vec<_>, _>>()?;
        if let Some(base) = Opened::base(&places, &context.storage(), &progress).await? {
            request.base = BaseOffer { layers: base.layers(), contents: Some(Arc::new(base)) };
        }
        Ok(pack(bundle.reader(), &request, &progress).await?)
    })?;
    context.answer(&answer(&report), |_| text(&report))
}

fn word(coding: BlobCoding) -> &'static str {
    match coding {
        BlobCoding::Recipe => "recipe",
        BlobCoding::Plain => "plain",
        BlobCoding::Unknown => "unknown-encoder",
        BlobCoding::Dense => "dense",
    }
}

fn answer(report: &PackReport) -> Value {
    let blob = |one: &PackedOutcome| {
        json!({
            "digest": one.blob.digest, "size": one.blob.size, "packed": one.packed, "coding": word(one.coding),
        })
    };
    json!({
        "path": report.path,
        "volumes": report.volumes,
        "bundle": report.id,
        "size": report.size,
        "packed": report.packed,
        "already_there": report.already_there,
        "blobs": report.blobs.iter().map(blob).collect::<Vec<_>>(),
    })
}

fn text(report: &PackReport) -> String {
    let columns = [Column::Left("DIGEST"), Column::Right("SIZE"), Column::Right("PACKED"), Column::Left("CODED AS")];
    let rows = report.blobs.iter().map(|one| {
        let coding = match one.coding {
            BlobCoding::Recipe => "content and recipe",
            BlobCoding::Plain => "content",
            BlobCoding::Unknown => "itself: its encoder is not known",
            BlobCoding::Dense => "itself: it is dense already",
        };
        vec![short(&one.blob.digest), size(one.blob.size), size(one.packed), coding.to_owned()]
    });
    let rows: Vec<_> = rows.collect();
    let blobs = if rows.is_empty() { String::new() } else { table(&columns, rows) };
    let permille = u128::from(report.packed) * 1000 / u128::from(report.size.max(1));
    let (percent, tenth) = (permille / 10, permille % 10);
    let packed = size(report.packed);
    let what = match (&report.path, &report.volumes[..]) {
        (Some(first), [_, .., last]) => {
            let volumes = count(report.volumes.len(), "volume");
            format!("{} to {}: {volumes}, {packed}", first.display(), last.display())
        }
        (Some(path), _) => format!("{}: {packed}", path.display()),
        (None, _) => format!("packed it would be {packed}"),
    };
    let again = if report.already_there { ", already there" } else { "" };
    format!("{blobs}{what}, {percent}.{tenth}% of {}{again}\nbundle {}\n", size(report.size), report.id)
}
