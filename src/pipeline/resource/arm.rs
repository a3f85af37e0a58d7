//! Parameter files of Azure's templates (`azuredeploy.parameters.json`): their values, carried over into a resource.

use serde_json::{Map, Value, json};

use super::{
    Kind, Problem,
    cursor::{DocumentNode, Notes},
};

/// A parameter, and where its value goes in the resource.
type Way = (&'static str, &'static str);

/// Parameters that every template has.
const COMMON: [Way; 1] = [("registryName", "registry")];

/// Parameters of both pipelines' templates.
const PIPELINE: [Way; 4] = [
    ("options", "properties.options"),
    ("maxArtifacts", "properties.maxArtifacts"),
    ("storageAccessMode", "storageAccessMode"),
    ("keyVaultUri", "keyVaultUri"),
];

const EXPORT: [Way; 3] =
    [("exportPipelineName", "name"), ("targetUri", "properties.target.uri"), ("volumeSize", "properties.volumeSize")];

const IMPORT: [Way; 3] = [
    ("importPipelineName", "name"),
    ("sourceUri", "properties.source.uri"),
    ("sourceTriggerStatus", "properties.trigger.sourceTrigger.status"),
];

const RUN: [Way; 7] = [
    ("pipelineRunName", "name"),
    ("pipelineResourceId", "properties.request.pipelineResourceId"),
    ("artifacts", "properties.request.artifacts"),
    ("sourceName", "properties.request.source.name"),
    ("targetName", "properties.request.target.name"),
    ("catalogDigest", "properties.request.catalogDigest"),
    ("forceUpdateTag", "properties.forceUpdateTag"),
];

/// Parameters that say nothing here, or are put together from several.
const TOGETHER: [&str; 4] = ["location", "keyVaultName", "sasTokenSecretName", "userAssignedIdentity"];

/// A resource made of parameters.
pub(super) struct Translated {
    /// The resource.
    pub(super) document: Value,
    /// Places in it, and the parameters they come from.
    ways: Vec<(String, String)>,
}

impl Translated {
    /// Problems by the places that the person wrote at.
    pub(super) fn untranslated(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let place = |path: &str| {
            let mut ways = self.ways.iter();
            let rest = |to: &str| path.strip_prefix(to).filter(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
            let found = ways.find_map(|(from, to)| Some(format!("parameters.{from}.value{}", rest(to)?)));
            found.unwrap_or_else(|| path.to_owned())
        };
        problems.into_iter().map(|Problem { path, problem }| Problem { path: place(&path), problem }).collect()
    }
}

/// The resource whose parameters `document` has; `None` if it is not a file of parameters.
///
/// # Errors
/// What is wrong with the parameters themselves.
pub(super) fn translate(document: &Value) -> Result<Option<Translated>, Vec<Problem>> {
    let Some(parameters) = document.get("parameters").and_then(Value::as_object) else { return Ok(None) };
    let notes = Notes::default();
    if document.get("resources").is_some() {
        notes.note("resources", "this is a template; give the file of its parameters, or the resource itself");
        return Err(notes.into_problems());
    }
    let values = values(&DocumentNode::root(document, &notes), parameters, &notes);
    let kinds = [
        (Kind::ExportPipeline, "exportPipelineName"),
        (Kind::ImportPipeline, "importPipelineName"),
        (Kind::PipelineRun, "pipelineRunName"),
    ];
    let Some((kind, _)) = kinds.into_iter().find(|(_, name)| parameters.contains_key(*name)) else {
        let wanted = "exportPipelineName, importPipelineName or pipelineRunName is needed";
        notes.note("parameters", wanted);
        return Err(notes.into_problems());
    };
    let translated = put_together(kind, &values, &notes);
    let problems = notes.into_problems();
    if problems.is_empty() { Ok(Some(translated)) } else { Err(problems) }
}

fn values<'a>(root: &DocumentNode<'a>, parameters: &'a Map<String, Value>, notes: &Notes) -> Map<String, Value> {
    let fields = root.fields();
    fields.pass_over(&["$schema", "contentVersion", "parameters"]);
    fields.close();
    let mut values = Map::new();
    for (name, parameter) in parameters {
        match parameter.get("value") {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None => notes.note(&format!("parameters.{name}"), "has no value"),
        }
    }
    values
}

fn put_together(kind: Kind, values: &Map<String, Value>, notes: &Notes) -> Translated {
    let own: &[Way] = match kind {
        Kind::ExportPipeline => &EXPORT,
        Kind::ImportPipeline => &IMPORT,
        Kind::PipelineRun => &RUN,
    };
    let of_pipelines: &[Way] = if kind == Kind::PipelineRun { &[] } else { &PIPELINE };
    let ways: Vec<Way> = COMMON.iter().chain(own).chain(of_pipelines).copied().collect();
    let mut document = json!({ "type": kind.arm_type() });
    let side = if kind == Kind::ExportPipeline { "properties.target" } else { "properties.source" };
    let mut gone = Vec::new();
    for (from, to) in ways {
        let of_container = ["storageAccessMode", "keyVaultUri"].contains(&to);
        let to = if of_container { format!("{side}.{to}") } else { to.to_owned() };
        if let Some(value) = values.get(from) {
            put(&mut document, &to, value.clone());
        }
        gone.push((from.to_owned(), to));
    }
    let text = |name: &str| values.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let (Some(vault), Some(secret)) = (text("keyVaultName"), text("sasTokenSecretName")) {
        let place = format!("{side}.keyVaultUri");
        put(&mut document, &place, json!(format!("https://{vault}.vault.azure.net/secrets/{secret}")));
        gone.insert(0, ("sasTokenSecretName".to_owned(), place));
    }
    if let Some(user) = text("userAssignedIdentity") {
        document["identity"] = json!({ "type": "UserAssigned", "userAssignedIdentities": { user: {} } });
        gone.push(("userAssignedIdentity".to_owned(), "identity".to_owned()));
    }
    for name in values.keys().filter(|name| !TOGETHER.contains(&name.as_str())) {
        if !gone.iter().any(|(from, _)| from == name) {
            notes.note(&format!("parameters.{name}"), format!("is not a parameter of an {}", kind.noun()));
        }
    }
    Translated { document, ways: gone }
}

/// Sets the value at a path of names.
fn put(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for name in path.split('.') {
        place = &mut place[name];
    }
    *place = value;
}
