use airlift::{
    files::small::ReportFile,
    pack::ReadSettings,
    review::page as html,
    transfer::{
        Opened,
        companions::{Companion, CompanionKind},
        delta::review::review,
        inspect::{Inspection, inspect_with_configs},
        vouch,
    },
    trust::Statement,
};
use serde::Serialize;

use crate::{
    args::inspect::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::{
        count, needs, size,
        table::{Column, named_table, short, table},
        tree,
        trust::Beside,
    },
    runtime,
};

/// What a bundle holds, and what lies beside it.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    found: Inspection,
    #[serde(flatten)]
    beside: Option<Beside>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    artifacts::warn_of_unfinished([&args.bundle], context);
    let page = args.html.as_deref().map(ReportFile::check).transpose()?;
    let found = runtime::run(async {
        // Without its base, a packed file is read as far as that goes: only the configs of single images say something more.
        let read = ReadSettings { documents: true, ..artifacts::reading(&args.packed, context).await? };
        let place = artifacts::source(&args.bundle)?;
        let (bundle, _) = Opened::survey_read(&[place], &context.storage(), &read).await?;
        let mut found = inspect_with_configs(bundle.reader()).await?;
        found.companions = bundle.companions().await?;
        if let Some(file) = &page {
            let against = args.against.as_deref().map(artifacts::source).transpose()?;
            let review = review(&bundle, &found, against.as_ref(), &context.storage()).await?;
            file.save_alone(html(&[review]).as_bytes())?;
        }
        // What is beside a bundle is shown where it can be: of another tool's, there is nothing.
        let evidence = vouch::evidence(&bundle).await.ok();
        let at_hand = vouch::at_hand(bundle.reader());
        let is_of = |statement: &Statement| at_hand.is_some_and(|bundle| bundle.is(&statement.bundle));
        let beside = evidence.and_then(|evidence| Beside::of(&evidence, is_of));
        Ok::<_, CommandError>(Answer { found, beside })
    })?;
    context.answer(&found, |Answer { found, beside }| match args {
        Args { tree: true, .. } => tree::tree(found),
        Args { sums: true, .. } => sums(found),
        _ => summary(found) + &beside.as_ref().map(Beside::text).unwrap_or_default(),
    })
}

fn summary(found: &Inspection) -> String {
    let columns = [
        Column::Left("ARTIFACT"),
        Column::Left("DIGEST"),
        Column::Right("SIZE"),
        Column::Left("PLATFORMS"),
        Column::Right("ATTACHED"),
    ];
    let rows = found.artifacts.iter().map(|artifact| {
        let platforms: Vec<_> = artifact.platforms.iter().map(ToString::to_string).collect();
        vec![
            artifact.reference.to_string(),
            short(&artifact.root.digest),
            size(artifact.bytes),
            match &platforms[..] {
                [] => "-".to_owned(),
                [first, second, others @ ..] if !others.is_empty() => format!("{first},{second} +{}", others.len()),
                few => few.join(","),
            },
            artifact.attached.len().to_string(),
        ]
    });
    let table = named_table(&columns, rows);
    let shared = found.blobs.iter().filter(|blob| blob.artifacts > 1).count();
    let (artifacts, blobs) = (count(found.artifacts.len(), "artifact"), count(found.blobs.len(), "blob"));
    let absent = match found.absent.len() {
        0 => String::new(),
        number => format!(", {} left out on purpose", count(number, "blob")),
    };
    let Inspection { format, bundle, size: bytes, .. } = found;
    let head = format!("{table}\n{artifacts}, {blobs} ({shared} shared){absent}\n");
    if found.volumes.is_empty() {
        return format!("{head}{format} of {}, id {bundle}\n{}", size(*bytes), needed(found) + &companions(found));
    }
    let number = count(found.volumes.len(), "volume");
    format!(
        "{head}\n{}\nset of {number}, {} here, id {bundle}\n{}",
        volumes(found),
        size(*bytes),
        needed(found) + &companions(found)
    )
}

fn volumes(found: &Inspection) -> String {
    let columns = [Column::Left("VOLUME"), Column::Right("SIZE"), Column::Right("BLOBS"), Column::Right("SEGMENTS")];
    let rows = found.volumes.iter().map(|volume| {
        let bytes = volume.size.map_or_else(|| "not here".to_owned(), size);
        vec![volume.name.clone(), bytes, volume.blobs.to_string(), volume.segments.to_string()]
    });
    table(&columns, rows)
}

fn needed(found: &Inspection) -> String {
    found.needs.as_ref().map(needs).unwrap_or_default()
}

fn companions(found: &Inspection) -> String {
    let what = |kind| match kind {
        CompanionKind::Recovery => "recovery data",
        CompanionKind::Statement => "statement",
        CompanionKind::Signature => "signature of the statement",
    };
    let line = |one: &Companion| format!("beside it: {}, {}, {}\n", one.name, what(one.kind), size(one.size));
    found.companions.iter().map(line).collect()
}

/// What `sha256sum -c` reads, in a folder that the bundle was unpacked into.
fn sums(found: &Inspection) -> String {
    let index = format!("{}  index.json\n", found.bundle.hex());
    let line = |digest: airlift::oci::Digest| format!("{0}  blobs/{1}/{0}\n", digest.hex(), digest.algorithm());
    std::iter::once(index).chain(found.blobs.iter().map(|blob| line(blob.digest))).collect()
}
