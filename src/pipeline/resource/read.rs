//! From a JSON document to a resource, with everything that is wrong with it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    AccessMode, BlobType, Container, ContainerType, ExportOption, ExportPipeline, ImportOption, ImportPipeline, Kind,
    MAX_ARTIFACTS, PipelineIdentity, PipelineRun, Problem, Request, Resource, ResourceId, Secret, arm,
    cursor::{DocumentNode, Fields, Notes},
    id::{checked_name, registry_host},
};
use crate::{
    bundle::volume::ParseSizeError,
    oci::{Algorithm, Digest, Reference, digest::ParseDigestError},
    storage::Location,
    transfer::delta::open::BaseLocation,
};

/// Longest name of a bundle, in bytes: Azure's limit of a blob's name.
const MAX_BLOB: usize = 1024;

/// Reads a resource in the shape of resource manager, or the parameters of one of Azure's templates. `expected` is its kind
/// where that is known from elsewhere.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(document: &Value, expected: Option<Kind>) -> Result<Resource, Vec<Problem>> {
    let translated = arm::translate(document)?;
    let notes = Notes::default();
    let root = DocumentNode::root(translated.as_ref().map_or(document, |translated| &translated.document), &notes);
    let resource = resource(&root, expected);
    drop(root);
    let problems = notes.into_problems();
    match (resource, translated) {
        (Some(resource), _) if problems.is_empty() => Ok(resource),
        (_, Some(translated)) => Err(translated.untranslated(problems)),
        (_, None) => Err(problems),
    }
}

/// What resource manager adds to every resource.
const OF_RESOURCE_MANAGER: [&str; 8] =
    ["$schema", "apiVersion", "location", "systemData", "etag", "tags", "comments", "dependsOn"];

fn resource(root: &DocumentNode<'_>, expected: Option<Kind>) -> Option<Resource> {
    let fields = root.fields();
    if root.is_absent() {
        root.note("is empty");
        return None;
    }
    let kind = kind(&fields, expected)?;
    let names = names(&fields, kind);
    fields.pass_over(&OF_RESOURCE_MANAGER);
    let properties = fields.get("properties");
    let resource = match kind {
        Kind::ExportPipeline => {
            let identity = identity(&fields.get("identity"));
            export(&properties.fields()).and_then(|made| {
                let (registry, name) = names?;
                Some(Resource::Export(ExportPipeline { name, registry, identity, ..made }))
            })
        }
        Kind::ImportPipeline => {
            let identity = identity(&fields.get("identity"));
            import(&properties.fields()).and_then(|(source, trigger, options, trust)| {
                let (registry, name) = names?;
                Some(Resource::Import(ImportPipeline { name, registry, identity, source, trigger, options, trust }))
            })
        }
        Kind::PipelineRun => run(&properties.fields(), names.as_ref().map(|(registry, _)| registry.as_str())).and_then(
            |(request, force_update_tag)| {
                let (registry, name) = names?;
                Some(Resource::Run(PipelineRun { name, registry, request, force_update_tag }))
            },
        ),
    };
    fields.close();
    resource
}

fn kind(fields: &Fields<'_>, expected: Option<Kind>) -> Option<Kind> {
    let node = fields.get("type");
    let all = || Kind::ALL.iter().map(|kind| kind.arm_type()).collect::<Vec<_>>().join(", ");
    if node.is_absent() && expected.is_some() {
        return expected;
    }
    let kind =
        node.needed_parsed(|text| Kind::of_arm_type(text).ok_or_else(|| format!("{text:?} is none of {}", all())))?;
    if let Some(expected) = expected.filter(|expected| *expected != kind) {
        node.note(format!("is a {}, and a {} is wanted", kind.noun(), expected.noun()));
    }
    Some(kind)
}

/// Registry and name: from `registry` and `name`, from a name `REGISTRY/NAME` as templates have it, or from the id.
fn names(fields: &Fields<'_>, kind: Kind) -> Option<(String, String)> {
    let (id, name, registry) = (fields.get("id"), fields.get("name"), fields.get("registry"));
    let of_id: Option<ResourceId> = id.parsed(str::parse);
    if let Some(of_id) = of_id.as_ref().filter(|of_id| of_id.kind != kind) {
        id.note(format!("is that of a {}, and this is a {}", of_id.kind.noun(), kind.noun()));
    }
    let text = name.text();
    let split = text.and_then(|text| text.rsplit_once('/'));
    let own_name = match (text, split) {
        (None, _) => of_id.as_ref().map(|id| id.name.clone()),
        (Some(whole), None) => name.parsed(|_| checked_name(whole).map(str::to_owned)),
        (_, Some((_, last))) => name.parsed(|_| checked_name(last).map(str::to_owned)),
    };
    let own_registry = match (registry.is_absent(), split) {
        (false, _) => registry.parsed(registry_host),
        (true, Some((front, _))) => name.parsed(|_| registry_host(front)),
        (true, None) => of_id.as_ref().map(|id| id.registry.clone()),
    };
    if own_name.is_none() && text.is_none() && id.is_absent() {
        name.note("is needed");
    }
    if own_registry.is_none() && registry.is_absent() && split.is_none() && id.is_absent() {
        registry.note("is needed: HOST[:PORT][/PREFIX]");
    }
    Some((own_registry?, own_name?))
}

fn identity(node: &DocumentNode<'_>) -> PipelineIdentity {
    let fields = node.fields();
    let kind = fields.get("type");
    let users = fields.get("userAssignedIdentities").fields();
    fields.pass_over(&["principalId", "tenantId"]);
    let users: Vec<&String> = users.names().collect();
    let words = ["SystemAssigned", "UserAssigned"];
    let is_user = kind.one_of(&words, |text| words.iter().position(|word| word.eq_ignore_ascii_case(text)));
    let identity = match (is_user, users.as_slice()) {
        (Some(1), []) => {
            fields.get("userAssignedIdentities").note("is needed: the client id or the resource id of the identity");
            PipelineIdentity::System
        }
        (Some(0), [_, ..]) => {
            kind.note("is SystemAssigned, and userAssignedIdentities names another");
            PipelineIdentity::System
        }
        (_, [one]) => PipelineIdentity::User((*one).clone()),
        (_, []) => PipelineIdentity::System,
        _ => {
            fields.get("userAssignedIdentities").note("names several, and a pipeline has one");
            PipelineIdentity::System
        }
    };
    fields.close();
    identity
}

/// The pipeline but for what it is called and who it is.
fn export(fields: &Fields<'_>) -> Option<ExportPipeline> {
    let target = container(&fields.get("target"));
    let options = options(&fields.get("options"), ExportOption::WORDS, ExportOption::of_word);
    let max_artifacts = fields.get("maxArtifacts").count().unwrap_or(MAX_ARTIFACTS);
    let size = fields.get("volumeSize");
    let volume_size = size.parsed(|text| text.parse().map_err(|error: ParseSizeError| error.to_string()));
    fields.pass_over(&["provisioningState"]);
    fields.close();
    let target = target?;
    if target.kind != ContainerType::FileSystem && !size.is_absent() {
        size.note(format!("says nothing for {}: sets of volumes are written to folders", target.kind));
    }
    let (name, registry, identity) = (String::new(), String::new(), PipelineIdentity::System);
    Some(ExportPipeline { name, registry, identity, target, options, max_artifacts, volume_size })
}

type Import = (Container, bool, BTreeSet<ImportOption>, Option<PathBuf>);

fn import(fields: &Fields<'_>) -> Option<Import> {
    let source = container(&fields.get("source"));
    let options = options(&fields.get("options"), ImportOption::WORDS, ImportOption::of_word);
    let trigger = fields.get("trigger").fields();
    let source_trigger = trigger.get("sourceTrigger").fields();
    let words = ["Enabled", "Disabled"];
    let status = source_trigger.get("status");
    let status = status.one_of(&words, |text| words.iter().position(|word| word.eq_ignore_ascii_case(text)));
    source_trigger.close();
    trigger.close();
    let trust = fields.get("trust").parsed(trust_file);
    fields.pass_over(&["provisioningState"]);
    fields.close();
    Some((source?, status != Some(1), options, trust))
}

/// A run may begin in any folder.
fn trust_file(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() { Ok(path.to_owned()) } else { Err(format!("{text:?} is not an absolute path")) }
}

fn options<T: Ord>(node: &DocumentNode<'_>, words: &[&str], of_word: impl Fn(&str) -> Option<T>) -> BTreeSet<T> {
    let entries = node.entries();
    entries.iter().filter_map(|entry| entry.one_of(words, &of_word)).collect()
}

fn container(node: &DocumentNode<'_>) -> Option<Container> {
    if node.is_absent() {
        node.note("is needed");
        return None;
    }
    let fields = node.fields();
    let (said, mode) = (fields.get("type"), fields.get("storageAccessMode"));
    let place = fields.get("uri").needed_parsed(uri);
    let secret_node = fields.get("keyVaultUri");
    let secret =
        secret_node.parsed(|text| text.parse().map_err(|error: <Secret as std::str::FromStr>::Err| error.to_string()));
    let access = mode.one_of(AccessMode::WORDS, AccessMode::of_word);
    let said_kind = said.one_of(ContainerType::WORDS, ContainerType::of_word);
    fields.close();
    let (uri, kind) = place?;
    if let Some(other) = said_kind.filter(|other| *other != kind) {
        said.note(format!("is {other}, and the uri is that of a {kind}"));
    }
    let at_azure = kind == ContainerType::AzureStorageBlobContainer;
    if !at_azure {
        for one in [&mode, &secret_node].into_iter().filter(|one| !one.is_absent()) {
            one.note(format!("says nothing for {kind}; leave it out"));
        }
        return Some(Container { kind, uri, secret: None, mode: None });
    }
    let access = access.unwrap_or(AccessMode::SasToken);
    match access {
        AccessMode::SasToken if secret_node.is_absent() => {
            secret_node.note("is needed with SasToken: where the SAS token is kept");
        }
        AccessMode::ManagedIdentity if !secret_node.is_absent() => {
            secret_node.note("says nothing with ManagedIdentity; leave it out");
        }
        _ => {}
    }
    Some(Container { kind, uri, secret, mode: Some(access) })
}

/// The address of a container, and what it is.
fn uri(text: &str) -> Result<(String, ContainerType), String> {
    if text.contains('?') {
        return Err("has a query; the SAS token belongs into a secret, and keyVaultUri names that".to_owned());
    }
    let location = Location::parse_unsigned(text).map_err(|error| error.to_string())?;
    let kind = match &location {
        Location::Path(path) if path.is_absolute() => ContainerType::FileSystem,
        Location::Path(_) => return Err(format!("{text:?} is neither an absolute path nor a known address")),
        Location::Azure(_) => ContainerType::AzureStorageBlobContainer,
        Location::S3(_) => ContainerType::S3,
        Location::Gcs(_) => ContainerType::GoogleCloudStorage,
        _ => return Err(format!("{text:?} is not a container")),
    };
    Ok((text.trim_end_matches('/').to_owned(), kind))
}

type ParsedRun = (Request, Option<String>);

fn run(fields: &Fields<'_>, registry: Option<&str>) -> Option<ParsedRun> {
    let node = fields.get("request");
    if node.is_absent() {
        node.note("is needed");
    }
    let request = request(&node.fields(), registry);
    let force_update_tag = fields.get("forceUpdateTag").text().map(str::to_owned);
    // What a run became is ours to say.
    fields.pass_over(&["response", "provisioningState"]);
    fields.close();
    Some((request?, force_update_tag))
}

fn request(fields: &Fields<'_>, registry: Option<&str>) -> Option<Request> {
    let id = fields.get("pipelineResourceId");
    let pipeline: Option<ResourceId> = id.needed_parsed(str::parse);
    if let (Some(pipeline), Some(registry)) = (&pipeline, registry)
        && pipeline.registry != registry
    {
        id.note(format!("is of the registry {}, and the run of {registry}", pipeline.registry));
    }
    let kind = pipeline.as_ref().map(|pipeline| pipeline.kind);
    if kind == Some(Kind::PipelineRun) {
        id.note("is that of a run, and a pipeline is wanted");
    }
    let is_import = kind == Some(Kind::ImportPipeline);
    let (source, target) = (fields.get("source"), fields.get("target"));
    let [own, other] = if is_import { [&source, &target] } else { [&target, &source] };
    let blob = blob(own);
    if is_given(other) {
        other.note(if is_import { "an import has a source" } else { "an export has a target" });
    }
    let list = fields.get("artifacts");
    let artifacts = artifacts(&list, registry.unwrap_or("registry.invalid"));
    if kind == Some(Kind::ExportPipeline) && artifacts.is_empty() && list.entries().is_empty() {
        list.note("is needed: what to export, as repo, repo:tag or repo@sha256:…");
    }
    if is_import && !artifacts.is_empty() {
        list.note("an import takes all that the bundle holds; leave it out");
    }
    let digest = fields.get("catalogDigest");
    let catalog_digest = digest.parsed(catalog_digest);
    if kind == Some(Kind::ExportPipeline) && catalog_digest.is_some() {
        digest.note("an export says it, an import is held to it; leave it out");
    }
    let bases = fields.get("base");
    let is_base = |text: &str| text.parse::<BaseLocation>().map(|_| text.to_owned()).map_err(|error| error.to_string());
    let base: Vec<String> = bases.entries().iter().filter_map(|entry| entry.needed_parsed(is_base)).collect();
    if is_import && !base.is_empty() {
        bases.note("an import finds out by itself what the target has; leave it out");
    }
    fields.close();
    let (blob_type, blob) = blob?;
    Some(Request { pipeline: pipeline?, artifacts, base, blob_type, blob, catalog_digest })
}

/// Templates hand over `{type: "", name: ""}` where there is nothing.
fn is_given(node: &DocumentNode<'_>) -> bool {
    let fields = node.fields();
    let given = [fields.get("name"), fields.get("type")].map(|field| field.text().is_some());
    fields.close();
    given.contains(&true)
}

fn blob(node: &DocumentNode<'_>) -> Option<(Option<BlobType>, String)> {
    let fields = node.fields();
    let kind = fields.get("type").one_of(BlobType::WORDS, BlobType::of_word);
    let name = fields.get("name").needed_parsed(blob_name).map(str::to_owned);
    fields.close();
    Some((kind, name?))
}

/// `text`, if a bundle can be called so: a way down from the container, and never up or out of it.
fn blob_name(text: &str) -> Result<&str, String> {
    let bad_part = |part: &str| part.is_empty() || part == "." || part == "..";
    let bad = text.len() > MAX_BLOB || text.contains(['\\', '?', '#']) || text.chars().any(char::is_control);
    if bad || text.split('/').any(bad_part) {
        return Err(format!("{text:?} is not a name of a bundle below the container"));
    }
    Ok(text)
}

fn artifacts(node: &DocumentNode<'_>, registry: &str) -> Vec<String> {
    let read = |text: &str| reference(registry, text).map(|_| text.to_owned()).map_err(|error| error.to_string());
    node.entries().iter().filter_map(|entry| entry.needed_parsed(read)).collect()
}

/// An artifact in the pipeline's registry; it may be written with the registry in front, or without.
pub(in crate::pipeline) fn reference(
    registry: &str,
    text: &str,
) -> Result<Reference, crate::oci::reference::ParseReferenceError> {
    let own = text.strip_prefix(registry).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    format!("{registry}/{own}").parse()
}

fn catalog_digest(text: &str) -> Result<Digest, String> {
    let digest: Digest = text.parse().map_err(|error: ParseDigestError| error.to_string())?;
    if digest.algorithm() == Algorithm::Sha256 { Ok(digest) } else { Err("must be sha256:HEX".to_owned()) }
}
