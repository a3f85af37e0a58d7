//! From options and files to resources: both go through the same reader, so both hear of every problem.

use std::path::{self, Path};

use airlift::pipeline::{
    Error,
    resource::{self, Kind, Problem, Resource, ResourceId, file, registry_host},
};
use serde_json::{Value, json};

use super::told;
use crate::{
    args::{
        pipeline::Pipeline,
        pipeline_run::{CreateRun, Direction},
    },
    artifacts,
    failure::CommandError,
};

/// A pipeline as the options describe it; the container is its `side`.
pub(super) fn pipeline(args: &Pipeline, side: &str) -> Value {
    let mut container = json!({
        "uri": args.storage_container_uri.as_deref().map(absolute),
        "storageAccessMode": args.storage_access_mode,
        "keyVaultUri": args.secret_uri,
    });
    if let Some(fields) = container.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let mut document = json!({ "registry": args.registry, "name": args.name });
    // As `az acr` has it, `[system]` is the machine's own.
    if let Some(id) = args.assign_identity.as_deref().filter(|id| *id != "[system]") {
        document["identity"] = json!({ "type": "UserAssigned", "userAssignedIdentities": { id: {} } });
    }
    document["properties"] = json!({ side: container });
    document
}

/// A run as the options describe it.
pub(super) fn run(args: &CreateRun) -> Value {
    let registry = args.registry.as_deref().unwrap_or_default();
    let pipeline = args.pipeline.as_deref().unwrap_or_default();
    let kind = match args.pipeline_type {
        Some(Direction::Export) => Kind::ExportPipeline,
        Some(Direction::Import) => Kind::ImportPipeline,
        // An id says it by itself; what is neither is reported as no id.
        None => pipeline.parse().map_or(Kind::ExportPipeline, |id: ResourceId| id.kind),
    };
    let id = if pipeline.contains('/') || args.pipeline_type.is_none() {
        pipeline.to_owned()
    } else {
        let registry = registry_host(registry).unwrap_or_else(|_| registry.to_owned());
        ResourceId { kind, registry, name: pipeline.to_owned() }.to_string()
    };
    let mut request = json!({ "pipelineResourceId": id });
    let side = if kind == Kind::ImportPipeline { "source" } else { "target" };
    request[side] = json!({ "name": args.storage_blob });
    if !args.artifacts.is_empty() {
        request["artifacts"] = json!(args.artifacts);
    }
    if !args.base.is_empty() {
        let base = args.base.iter().map(|text| if Path::new(text).exists() { absolute(text) } else { text.clone() });
        request["base"] = json!(base.collect::<Vec<_>>());
    }
    if let Some(digest) = &args.catalog_digest {
        request["catalogDigest"] = json!(digest.to_string());
    }
    json!({ "registry": registry, "name": args.name, "properties": { "request": request } })
}

/// A folder is kept with its whole path: a later run may begin elsewhere.
pub(super) fn absolute(uri: &str) -> String {
    if uri.contains("://") || uri.is_empty() {
        return uri.to_owned();
    }
    path::absolute(uri).map_or_else(|_| uri.to_owned(), |path| path.display().to_string())
}

/// The one resource that a file has, or that the options describe.
pub(super) fn resource(
    file: Option<&Path>,
    kind: Kind,
    typed: impl FnOnce() -> Value,
) -> Result<Resource, CommandError> {
    let Some(path) = file else {
        return read(&typed(), kind, &format!("the {}", kind.noun()));
    };
    let name = path.display().to_string();
    let documents = file::documents(&artifacts::read(path)?, &name).map_err(told::failure)?;
    match documents.as_slice() {
        [one] => read(one, kind, &name),
        several => {
            let problem = format!("has {} resources, and one is wanted; `airlift apply` takes many", several.len());
            let problems = vec![Problem { path: ".".to_owned(), problem }];
            Err(told::failure(Error::Invalid { what: name, problems }))
        }
    }
}

fn read(document: &Value, kind: Kind, what: &str) -> Result<Resource, CommandError> {
    resource::read(document, Some(kind))
        .map_err(|problems| told::failure(Error::Invalid { what: what.to_owned(), problems }))
}
