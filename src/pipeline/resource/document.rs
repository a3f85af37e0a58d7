//! From a resource to the JSON document of resource manager, fields in the order that people look for them.

use serde_json::{Value, json};

use super::{
    AccessMode, Container, ExportPipeline, ImportPipeline, Kind, PipelineIdentity, PipelineRun, Request, Resource,
    ResourceId,
};

impl Resource {
    /// The document; [`super::read`] makes the same resource of it.
    pub fn document(&self) -> Value {
        match self {
            Self::Export(pipeline) => pipeline.document(),
            Self::Import(pipeline) => pipeline.document(),
            Self::Run(run) => run.document(),
        }
    }
}

fn head(id: &ResourceId) -> Value {
    json!({ "id": id.to_string(), "type": id.kind.arm_type(), "name": id.name, "registry": id.registry })
}

impl ExportPipeline {
    /// Its id.
    pub fn id(&self) -> ResourceId {
        ResourceId { kind: Kind::ExportPipeline, registry: self.registry.clone(), name: self.name.clone() }
    }

    /// As [`Resource::document`].
    pub fn document(&self) -> Value {
        let mut document = head(&self.id());
        document["identity"] = identity(&self.identity);
        let options: Vec<_> = self.options.iter().map(|option| option.word()).collect();
        document["properties"] =
            json!({ "target": container(&self.target), "options": options, "maxArtifacts": self.max_artifacts });
        if let Some(size) = self.volume_size {
            document["properties"]["volumeSize"] = json!(size.to_string());
        }
        document
    }
}

impl ImportPipeline {
    /// Its id.
    pub fn id(&self) -> ResourceId {
        ResourceId { kind: Kind::ImportPipeline, registry: self.registry.clone(), name: self.name.clone() }
    }

    /// As [`Resource::document`].
    pub fn document(&self) -> Value {
        let mut document = head(&self.id());
        document["identity"] = identity(&self.identity);
        let options: Vec<_> = self.options.iter().map(|option| option.word()).collect();
        let status = if self.trigger { "Enabled" } else { "Disabled" };
        document["properties"] = json!({
            "source": container(&self.source),
            "trigger": { "sourceTrigger": { "status": status } },
            "options": options,
        });
        if let Some(path) = &self.trust {
            document["properties"]["trust"] = json!(path);
        }
        document
    }
}

impl PipelineRun {
    /// Its id.
    pub fn id(&self) -> ResourceId {
        ResourceId { kind: Kind::PipelineRun, registry: self.registry.clone(), name: self.name.clone() }
    }

    /// As [`Resource::document`]; what became of the run is not in it.
    pub fn document(&self) -> Value {
        let mut document = head(&self.id());
        document["properties"] = json!({ "request": self.request.document() });
        if let Some(tag) = &self.force_update_tag {
            document["properties"]["forceUpdateTag"] = json!(tag);
        }
        document
    }
}

impl Request {
    /// `properties.request` of the run.
    pub fn document(&self) -> Value {
        let mut document = json!({ "pipelineResourceId": self.pipeline.to_string() });
        let mut blob = json!({});
        if let Some(kind) = self.blob_type {
            blob["type"] = json!(kind.word());
        }
        blob["name"] = json!(self.blob);
        if self.pipeline.kind == Kind::ImportPipeline {
            document["source"] = blob;
        } else {
            document["artifacts"] = json!(self.artifacts);
            if !self.base.is_empty() {
                document["base"] = json!(self.base);
            }
            document["target"] = blob;
        }
        if let Some(digest) = &self.catalog_digest {
            document["catalogDigest"] = json!(digest.to_string());
        }
        document
    }
}

fn identity(identity: &PipelineIdentity) -> Value {
    match identity {
        PipelineIdentity::System => json!({ "type": "SystemAssigned" }),
        PipelineIdentity::User(id) => json!({ "type": "UserAssigned", "userAssignedIdentities": { id: {} } }),
    }
}

fn container(container: &Container) -> Value {
    let mut document = json!({ "type": container.kind.word(), "uri": container.uri });
    if let Some(secret) = &container.secret {
        document["keyVaultUri"] = json!(secret.to_string());
    }
    if let Some(mode) = container.mode.map(AccessMode::word) {
        document["storageAccessMode"] = json!(mode);
    }
    document
}
