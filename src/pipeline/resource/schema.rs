//! The published schemas say what the reader takes, and what is written is what they say.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{AccessMode, BlobType, ContainerType, ExportOption, ImportOption, Kind, Resource, read};
use crate::pipeline::Status;

fn schema(kind: Kind) -> Value {
    let name = match kind {
        Kind::ExportPipeline => "exportPipeline",
        Kind::ImportPipeline => "importPipeline",
        Kind::PipelineRun => "pipelineRun",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{name}.schema.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A resource of each kind with everything in it that it may have.
fn whole(kind: Kind) -> Value {
    let container = json!({"type": "AzureStorageBlobContainer", "uri": "https://a.blob.core.windows.net/box",
        "keyVaultUri": "env:SAS", "storageAccessMode": "SasToken"});
    let identity = json!({"type": "UserAssigned", "userAssignedIdentities": {"some-id": {}}});
    match kind {
        Kind::ExportPipeline => json!({"name": "up", "registry": "r.site", "identity": identity, "properties":
            {"target": {"type": "FileSystem", "uri": "/mnt/box"}, "options": ["OverwriteBlobs"], "maxArtifacts": 60,
             "volumeSize": "dvd"}}),
        Kind::ImportPipeline => json!({"name": "down", "registry": "r.site", "identity": identity, "properties":
            {"source": container, "trigger": {"sourceTrigger": {"status": "Disabled"}}, "options": ["OverwriteTags"], "trust": "/etc/airlift/trust.toml"}}),
        Kind::PipelineRun => {
            json!({"name": "run", "registry": "r.site", "properties": {"forceUpdateTag": "1", "request":
            {"pipelineResourceId": "/registries/r.site/exportPipelines/up", "artifacts": ["app:v1"],
             "target": {"type": "AzureStorageBlob", "name": "x.tar"}}}})
        }
    }
}

/// Calls `each` with the path and the schema of every property, at any depth.
fn properties(schema: &Value, path: &[String], each: &mut impl FnMut(&[String], &Value)) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
        each(&path, inner);
        properties(inner, &path, each);
    }
}

fn at<'a>(document: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(document, |place, name| &mut place[name.as_str()])
}

#[test]
fn every_property_of_the_schemas_is_known_to_the_reader_and_no_other() {
    for &kind in Kind::ALL {
        let schema = schema(kind);
        assert_eq!(schema["properties"]["type"]["enum"], json!([kind.arm_type()]));
        read(&whole(kind), Some(kind)).unwrap_or_else(|problems| panic!("{problems:?}"));
        properties(&schema, &[], &mut |path, inner| {
            let (inside, in_response) = (inner["additionalProperties"] == false, path.contains(&"response".to_owned()));
            if in_response {
                return;
            }
            let mut document = whole(kind);
            *at(&mut document, path) = if inside { json!({"unheard-of": 1}) } else { json!({"x": 1}) };
            let place = path.join(".");
            let problems = read(&document, Some(kind)).err().unwrap_or_default();
            let unknown = problems.iter().any(|one| one.path == place && one.problem.starts_with("is not known"));
            assert!(!unknown, "the reader does not know {place} of a {}", kind.noun());
            let inner_known = problems.iter().any(|one| one.path == format!("{place}.unheard-of"));
            assert!(!inside || inner_known, "{place}.unheard-of is taken");
        });
    }
}

#[test]
fn what_is_written_is_in_the_schemas() {
    for &kind in Kind::ALL {
        let schema = schema(kind);
        let document = read(&whole(kind), Some(kind)).unwrap().document();
        let mut open = vec![(document, schema)];
        while let Some((value, schema)) = open.pop() {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let known = &schema["properties"][name.as_str()];
                let is_map = schema.get("properties").is_none();
                assert!(is_map || !known.is_null(), "{name} is written, and not in the schema of a {}", kind.noun());
                open.push((inner.clone(), known.clone()));
            }
        }
    }
}

#[test]
fn the_words_of_the_schemas_are_those_of_the_code() {
    let words = |kind: Kind, path: &str| {
        let schema = schema(kind);
        let found = path.split('.').fold(&schema, |place, name| &place["properties"][name]);
        let list = if found["enum"].is_array() { &found["enum"] } else { &found["items"]["enum"] };
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(Kind::ExportPipeline, "properties.options"), ExportOption::WORDS);
    assert_eq!(words(Kind::ImportPipeline, "properties.options"), ImportOption::WORDS);
    assert_eq!(words(Kind::ExportPipeline, "properties.target.type"), ContainerType::WORDS);
    assert_eq!(words(Kind::ImportPipeline, "properties.source.storageAccessMode"), AccessMode::WORDS);
    assert_eq!(words(Kind::PipelineRun, "properties.request.target.type"), BlobType::WORDS);
    let statuses: Vec<_> = Status::ALL.map(Status::word).into();
    assert_eq!(words(Kind::PipelineRun, "properties.response.status"), statuses);
}

#[test]
fn what_is_written_reads_as_what_it_was() {
    for &kind in Kind::ALL {
        let resource: Resource = read(&whole(kind), Some(kind)).unwrap();
        assert_eq!(read(&resource.document(), None).unwrap(), resource);
    }
}
