use std::fmt::Write as _;

use airlift::transfer::delta::diff::{Changed, Difference, diff};

use crate::{
    args::{Jobs, diff::Args},
    context::Context,
    failure::CommandError,
    output::{
        count, size,
        table::{Column, named_table, short},
    },
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let client = context.client(Jobs::default())?;
    let found = runtime::run(async {
        Ok(diff(&args.from, &args.to, &client, &context.storage(), &context.progress()).await?)
    })?;
    context.answer(&found, text)
}

fn text(found: &Difference) -> String {
    let columns = [
        Column::Left("ARTIFACT"),
        Column::Left("CHANGE"),
        Column::Left("FROM"),
        Column::Left("TO"),
        Column::Right("SIZE"),
    ];
    let digest = |digest: Option<airlift::oci::Digest>| digest.map_or_else(|| "-".to_owned(), |one| short(&one));
    let row = |change: &str, one: &Changed| {
        let bytes = one.bytes.map_or_else(|| "-".to_owned(), size);
        vec![one.reference.to_string(), change.to_owned(), digest(one.from), digest(one.to), bytes]
    };
    let kinds = [("added", &found.added), ("removed", &found.removed), ("moved", &found.moved)];
    let rows: Vec<_> = kinds.iter().flat_map(|(change, list)| list.iter().map(|one| row(change, one))).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text = named_table(&columns, rows);
        text.push('\n');
    }
    let Difference { added, removed, moved, unchanged, .. } = found;
    let (added, removed, moved) = (added.len(), removed.len(), moved.len());
    let _ = writeln!(text, "{added} added, {removed} removed, {moved} moved, {unchanged} unchanged");
    if let Some(blobs) = found.new_blobs {
        let bytes = found.new_bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
        let _ = writeln!(text, "{} only in B{bytes}", count(blobs, "blob"));
    }
    text
}
