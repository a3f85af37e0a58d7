//! Resources on standard output: JSON and YAML in the shape of resource manager, or a table for people.

use airlift::pipeline::resource::Kind;
use serde_json::Value;

use crate::{
    args::pipeline::OutputFormat,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{
        self, json,
        table::{Column, table},
    },
};

/// One resource.
pub(super) fn one(document: &Value, format: OutputFormat, context: &Context) -> Result<(), CommandError> {
    let kind = document["type"].as_str().and_then(Kind::of_arm_type).unwrap_or(Kind::PipelineRun);
    print(document, format, context, || {
        let artifacts = document["properties"]["response"]["artifacts"].as_array();
        let results = artifacts.map(|artifacts| format!("\n{}", results(artifacts)));
        rows(kind, std::slice::from_ref(document)) + &results.unwrap_or_default() + &reason(document)
    })
}

/// Why a run ended badly, if it did.
fn reason(document: &Value) -> String {
    let response = &document["properties"]["response"];
    match (response["errorToken"].as_str(), response["pipelineRunErrorMessage"].as_str()) {
        (Some(token), Some(message)) => format!("\n{message} [{token}]\n"),
        _ => String::new(),
    }
}

/// A list of them.
pub(super) fn many(
    documents: &[Value],
    kind: Kind,
    format: OutputFormat,
    context: &Context,
) -> Result<(), CommandError> {
    print(&documents.into(), format, context, || rows(kind, documents))
}

/// Resources of any kinds.
pub(super) fn any(documents: &[Value], format: OutputFormat, context: &Context) -> Result<(), CommandError> {
    print(&documents.into(), format, context, || {
        let of = |kind: Kind| {
            let own = documents.iter().filter(|one| one["type"].as_str().and_then(Kind::of_arm_type) == Some(kind));
            let own: Vec<Value> = own.cloned().collect();
            if own.is_empty() { String::new() } else { format!("{}\n", rows(kind, &own)) }
        };
        Kind::ALL.iter().map(|&kind| of(kind)).collect()
    })
}

fn print(
    value: &Value,
    format: OutputFormat,
    context: &Context,
    rows: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    context.status().finish();
    let text = match format {
        OutputFormat::Yaml if !context.json() => {
            serde_saphyr::to_string(value).map_err(|error| Mistake::Yaml { reason: error.to_string() })?
        }
        OutputFormat::Table if !context.json() => rows(),
        _ => json::pretty(value)?,
    };
    output::print(text.as_bytes())
}

/// The text at a path of names; `-` where there is none.
fn text(document: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(document, |place, name| place.get(name));
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    }
}

fn rows(kind: Kind, documents: &[Value]) -> String {
    let columns: &[(&'static str, &str)] = match kind {
        Kind::ExportPipeline => &[
            ("NAME", "name"),
            ("REGISTRY", "registry"),
            ("TARGET", "properties.target.uri"),
            ("OPTIONS", "properties.options"),
        ],
        Kind::ImportPipeline => &[
            ("NAME", "name"),
            ("REGISTRY", "registry"),
            ("SOURCE", "properties.source.uri"),
            ("TRIGGER", "properties.trigger.sourceTrigger.status"),
            ("OPTIONS", "properties.options"),
        ],
        Kind::PipelineRun => &[
            ("NAME", "name"),
            ("REGISTRY", "registry"),
            ("PIPELINE", "properties.request.pipelineResourceId"),
            ("STATUS", "properties.response.status"),
            ("PERCENT", "properties.response.progress.percentage"),
            ("STARTED", "properties.response.startTime"),
            ("CATALOG DIGEST", "properties.response.catalogDigest"),
        ],
    };
    let heads: Vec<Column> = columns.iter().map(|(head, _)| Column::Left(head)).collect();
    let row = |document: &Value| {
        let cell = |(head, path): &(&str, &str)| {
            let text = text(document, path);
            // The registry stands beside it.
            if *head == "PIPELINE" { text.rsplit('/').next().unwrap_or_default().to_owned() } else { text }
        };
        columns.iter().map(cell).collect()
    };
    table(&heads, documents.iter().map(row))
}

fn results(artifacts: &[Value]) -> String {
    let columns = [
        ("ARTIFACT", "name"),
        ("STATUS", "status"),
        ("DIGEST", "sourceDigest"),
        ("BYTES", "bytes"),
        ("RETRIES", "retries"),
        ("REASON", "reason"),
    ];
    let heads = columns.map(|(head, _)| if head == "BYTES" { Column::Right(head) } else { Column::Left(head) });
    table(&heads, artifacts.iter().map(|artifact| columns.iter().map(|(_, path)| text(artifact, path)).collect()))
}
