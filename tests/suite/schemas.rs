//! The published schemas of pipelines and runs, held by a validator that is none of ours against what airlift takes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use airlift::pipeline::resource::{Kind, read};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{needs, peers, process::Ran};

/// Python's `jsonschema`, which `kubernetes-validate` brings, reads a file of schemas and documents and prints what the schema
/// has against each document.
const VALIDATOR: &str = "
import json, sys
from jsonschema.validators import validator_for
said = []
for schema, documents in json.load(open(sys.argv[1])):
    schema = json.load(open(schema))
    kind = validator_for(schema, default=None)
    kind.check_schema(schema)
    said.append([[error.message for error in kind(schema).iter_errors(document)] for document in documents])
print(json.dumps(said))
";

fn schema(kind: Kind) -> PathBuf {
    let name = match kind {
        Kind::ExportPipeline => "exportPipeline",
        Kind::ImportPipeline => "importPipeline",
        Kind::PipelineRun => "pipelineRun",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{name}.schema.json"))
}

/// What the schemas have against these documents.
fn findings(documents: &[(Kind, Value)]) -> Vec<Vec<String>> {
    let mut by_schema: BTreeMap<PathBuf, Vec<(usize, &Value)>> = BTreeMap::new();
    for (place, (kind, document)) in documents.iter().enumerate() {
        by_schema.entry(schema(*kind)).or_default().push((place, document));
    }
    let asked: Vec<(&PathBuf, Vec<&Value>)> =
        by_schema.iter().map(|(schema, documents)| (schema, documents.iter().map(|(_, it)| *it).collect())).collect();
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, serde_json::to_vec(&asked).unwrap()).unwrap();
    // Beside the program of the package, since only this Python has it.
    let python = peers::path("kubernetes-validate").with_file_name("python3");
    let ran = Ran::of(Command::new(python).args(["-c", VALIDATOR]).arg(file.path())).success();
    let said: Vec<Vec<Vec<String>>> = serde_json::from_str(&ran.stdout).unwrap();
    let mut findings = vec![Vec::new(); documents.len()];
    for ((place, _), said) in by_schema.values().flatten().zip(said.into_iter().flatten()) {
        findings[*place] = said;
    }
    findings
}

/// A sound resource of each kind, which the cases change.
fn sound(kind: Kind) -> Value {
    let container = json!({"uri": "https://a.blob.core.windows.net/box", "keyVaultUri": "env:SAS"});
    match kind {
        Kind::ExportPipeline => json!({"name": "up", "registry": "r.site", "properties": {"target": container}}),
        Kind::ImportPipeline => json!({"name": "down", "registry": "r.site", "properties": {"source": container}}),
        Kind::PipelineRun => json!({"name": "run", "registry": "r.site", "properties": {"request": {
            "pipelineResourceId": "/registries/r.site/exportPipelines/up", "artifacts": ["app:v1"],
            "target": {"name": "x.tar"}}}}),
    }
}

/// A run of an import.
fn import_of(request: Value) -> (Kind, Vec<(&'static str, Value)>) {
    (Kind::PipelineRun, vec![("/properties/request", request)])
}

fn export(changes: &[(&'static str, Value)]) -> (Kind, Vec<(&'static str, Value)>) {
    (Kind::ExportPipeline, changes.to_vec())
}

fn import(changes: &[(&'static str, Value)]) -> (Kind, Vec<(&'static str, Value)>) {
    (Kind::ImportPipeline, changes.to_vec())
}

fn run(changes: &[(&'static str, Value)]) -> (Kind, Vec<(&'static str, Value)>) {
    (Kind::PipelineRun, changes.to_vec())
}

/// Puts each value at its place; `null` removes what is there.
fn changed(kind: Kind, changes: &[(&str, Value)]) -> Value {
    let mut document = sound(kind);
    for (place, value) in changes {
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() { drop(parent.remove(name)) } else { drop(parent.insert(name.to_owned(), value.clone())) }
    }
    document
}

const DOWN: &str = "/registries/r.site/importPipelines/down";

type Case = (Kind, Vec<(&'static str, Value)>);

fn good() -> Vec<Case> {
    let target = |value: Value| export(&[("/properties/target", value)]);
    let digest = format!("sha256:{}", "0a".repeat(32));
    vec![
        export(&[]),
        import(&[]),
        run(&[]),
        target(json!({"uri": "https://a.blob.core.windows.net/box", "type": "AzureStorageBlobContainer",
            "storageAccessMode": "SasToken", "keyVaultUri": "https://v.vault.azure.net/secrets/sas/0a1b"})),
        target(json!({"uri": "https://a.blob.core.windows.net/box/deep/er", "storageAccessMode": "ManagedIdentity"})),
        target(json!({"uri": "az://account/box", "keyVaultUri": "file:/run/secrets/sas"})),
        target(json!({"uri": "az://account/box", "keyVaultUri": "exec:pass show sas"})),
        target(json!({"uri": "s3://bucket/prefix", "type": "S3"})),
        target(json!({"uri": "gs://bucket", "type": "GoogleCloudStorage"})),
        target(json!({"uri": "/mnt/transfer", "type": "FileSystem"})),
        export(&[("/properties/options", json!(["OverwriteBlobs", "ContinueOnErrors"]))]),
        export(&[("/properties/maxArtifacts", json!(200))]),
        export(&[("/properties/target", json!({"uri": "/mnt/transfer"})), ("/properties/volumeSize", json!("dvd"))]),
        export(&[("/properties/target", json!({"uri": "/mnt/transfer"})), ("/properties/volumeSize", json!("700MB"))]),
        export(&[("/identity", json!({"type": "UserAssigned", "userAssignedIdentities": {"id": {}}}))]),
        export(&[("/identity", json!({"type": "SystemAssigned", "principalId": "x"}))]),
        export(&[("/name", json!("r.site:5000/mirror/up")), ("/registry", Value::Null)]),
        export(&[
            ("/id", json!("/registries/r.site/exportPipelines/up")),
            ("/name", Value::Null),
            ("/registry", Value::Null),
        ]),
        export(&[("/registry", json!("myregistry")), ("/location", json!("westeurope")), ("/tags", json!({"a": "b"}))]),
        export(&[("/type", json!("Microsoft.ContainerRegistry/registries/exportPipelines"))]),
        import(&[("/properties/trigger", json!({"sourceTrigger": {"status": "Disabled"}}))]),
        import(&[("/properties/options", json!(["OverwriteTags", "DeleteSourceBlobOnSuccess", "ContinueOnErrors"]))]),
        run(&[("/properties/request/artifacts", json!(["app", "r.site/team/app:v1", format!("app@{digest}")]))]),
        run(&[("/properties/request/target/name", json!("2026/11/x.tar")), ("/properties/forceUpdateTag", json!("2"))]),
        run(&[("/properties/response", json!({"status": "Succeeded"}))]),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.tar", "type": "AzureStorageBlob"}})),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.set.json"}, "catalogDigest": digest})),
    ]
}

fn bad() -> Vec<Case> {
    let target = |value: Value| export(&[("/properties/target", value)]);
    let at_azure = "https://a.blob.core.windows.net/box";
    vec![
        export(&[("/properties", Value::Null)]),
        export(&[("/properties/target", Value::Null)]),
        export(&[("/properties/target/uri", Value::Null)]),
        export(&[("/properties/target/uri", json!(format!("{at_azure}?sv=1&sig=2")))]),
        export(&[("/properties/target", json!({"uri": "relative/path"}))]),
        export(&[("/properties/target/uri", json!("https://a.blob.core.windows.net"))]),
        export(&[("/colour", json!("red"))]),
        export(&[("/properties/colour", json!("red"))]),
        export(&[("/properties/target/colour", json!("red"))]),
        export(&[("/properties/options", json!(["Overwrite"]))]),
        export(&[("/properties/options", json!("OverwriteBlobs"))]),
        export(&[("/properties/options", json!([7]))]),
        export(&[("/properties/maxArtifacts", json!(0))]),
        export(&[("/properties/maxArtifacts", json!("many"))]),
        export(&[("/properties/maxArtifacts", json!(1.5))]),
        export(&[("/type", json!("Microsoft.ContainerRegistry/registries/importPipelines"))]),
        target(json!({"uri": at_azure, "keyVaultUri": "env:SAS", "type": "S3"})),
        target(json!({"uri": "s3://bucket", "type": "FileSystem"})),
        target(json!({"uri": at_azure})),
        target(json!({"uri": at_azure, "storageAccessMode": "ManagedIdentity", "keyVaultUri": "env:SAS"})),
        target(json!({"uri": at_azure, "keyVaultUri": "sv=1&sig=2"})),
        target(json!({"uri": at_azure, "keyVaultUri": "env:"})),
        target(json!({"uri": at_azure, "keyVaultUri": "https://v.vault.azure.net/keys/sas"})),
        target(json!({"uri": at_azure, "keyVaultUri": "env:SAS", "storageAccessMode": "Key"})),
        target(json!({"uri": "s3://bucket", "keyVaultUri": "env:SAS"})),
        target(json!({"uri": "/mnt/transfer", "storageAccessMode": "SasToken"})),
        export(&[("/properties/volumeSize", json!("dvd"))]),
        export(&[("/properties/target", json!({"uri": "/mnt/transfer"})), ("/properties/volumeSize", json!("cd"))]),
        export(&[("/properties/target", json!({"uri": "/mnt/transfer"})), ("/properties/volumeSize", json!(7))]),
        export(&[("/identity", json!({"type": "UserAssigned"}))]),
        export(&[("/identity", json!({"type": "UserAssigned", "userAssignedIdentities": {"a": {}, "b": {}}}))]),
        export(&[("/identity", json!({"type": "SystemAssigned", "userAssignedIdentities": {"a": {}}}))]),
        export(&[("/name", json!("bad name!"))]),
        export(&[("/name", Value::Null)]),
        export(&[("/registry", Value::Null)]),
        export(&[("/registry", json!("https://r.site"))]),
        export(&[("/registry", json!("r.site/UPPER"))]),
        import(&[("/properties/trigger", json!({"sourceTrigger": {"status": "On"}}))]),
        import(&[("/properties/trigger", json!({"status": "Enabled"}))]),
        import(&[("/properties/options", json!(["OverwriteBlobs"]))]),
        import(&[("/properties/maxArtifacts", json!(60))]),
        run(&[("/properties/request", Value::Null)]),
        run(&[("/properties/request/artifacts", Value::Null)]),
        run(&[("/properties/request/artifacts", json!([]))]),
        run(&[("/properties/request/artifacts", json!(["app:v1:v2"]))]),
        run(&[("/properties/request/artifacts", json!(["App:v1"]))]),
        run(&[("/properties/request/artifacts", json!([""]))]),
        run(&[("/properties/request/target", json!({}))]),
        run(&[("/properties/request/target/name", json!("../x.tar"))]),
        run(&[("/properties/request/target/name", json!("a//x.tar"))]),
        run(&[("/properties/request/target/name", json!("/x.tar"))]),
        run(&[("/properties/request/target/name", json!("x.tar?sig=1"))]),
        run(&[("/properties/request/target/type", json!("Blob"))]),
        run(&[("/properties/request/source", json!({"name": "y.tar"}))]),
        run(&[("/properties/request/catalogDigest", json!(format!("sha256:{}", "0a".repeat(32))))]),
        run(&[("/properties/request/pipelineResourceId", json!("up"))]),
        run(&[("/properties/request/pipelineResourceId", json!("/registries/r.site/pipelineRuns/up"))]),
        run(&[("/properties/force", json!(true))]),
        import_of(json!({"pipelineResourceId": DOWN})),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.tar"}, "artifacts": ["app:v1"]})),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.tar"}, "target": {"name": "x.tar"}})),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.tar"}, "catalogDigest": "sha256:12"})),
    ]
}

/// What templates hand over and people write by hand: airlift takes more than it writes, and the schemas say what is written.
fn lenient() -> Vec<Case> {
    vec![
        export(&[("/properties/options", json!(["overwriteblobs"]))]),
        export(&[("/properties/target/type", json!(""))]),
        export(&[("/properties/target/keyVaultUri", json!(" env:SAS "))]),
        run(&[("/properties/request/source", json!({"type": "", "name": ""}))]),
        import_of(json!({"pipelineResourceId": DOWN, "source": {"name": "x.tar"}, "target": {"type": "", "name": ""}})),
    ]
}

/// What no schema can say: what two places have to do with each other, and what addresses mean.
fn beyond() -> Vec<Case> {
    vec![
        run(&[("/properties/request/pipelineResourceId", json!("/registries/r.other/exportPipelines/up"))]),
        export(&[("/properties/target/uri", json!("http://a.blob.core.windows.net/box"))]),
        export(&[("/properties/target/keyVaultUri", json!("https://example.com/secrets/sas"))]),
    ]
}

#[track_caller]
fn judged(cases: Vec<Case>, by_schema: bool, by_us: bool) {
    let mut wrong = Vec::new();
    let documents: Vec<_> = cases.into_iter().map(|(kind, changes)| (kind, changed(kind, &changes))).collect();
    for ((kind, document), says) in documents.iter().zip(findings(&documents)) {
        let ours = read(document, Some(*kind));
        if says.is_empty() != by_schema {
            wrong.push(format!("the schema says {says:?} of {document}"));
        }
        if ours.is_ok() != by_us {
            wrong.push(format!("airlift says {:?} of {document}", ours.err()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_schemas_take_airlift_takes() {
    needs!("kubernetes-validate");
    judged(good(), true, true);
}

#[test]
fn what_the_schemas_refuse_airlift_refuses() {
    needs!("kubernetes-validate");
    judged(bad(), false, false);
}

#[test]
fn airlift_takes_a_little_more_than_the_schemas_and_knows_a_little_more() {
    needs!("kubernetes-validate");
    judged(lenient(), false, true);
    judged(beyond(), true, false);
}
