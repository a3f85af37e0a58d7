//! What the pipelines' commands have in common: where things are kept, how they are shown, what helps when they fail.

pub(crate) mod apply;
pub(crate) mod export;
mod history;
pub(crate) mod import;
mod input;
pub(crate) mod run;
mod show;
mod told;

use airlift::pipeline::{
    PipelineState,
    resource::{Kind, Resource, ResourceId},
};

use crate::{
    args::pipeline::{Common, ListArgs, NamedResource},
    context::Context,
    failure::CommandError,
};

/// The state that the options name.
fn state(common: &Common) -> Result<PipelineState, CommandError> {
    let dir = common.state.clone().map_or_else(PipelineState::default_dir, Ok)?;
    PipelineState::open(&dir).map_err(told::failure)
}

fn id(kind: Kind, named: &NamedResource) -> ResourceId {
    ResourceId { kind, registry: named.registry.clone(), name: named.name.clone() }
}

/// Keeps a pipeline, and shows it as it is kept.
fn put(resource: &Resource, common: &Common, context: &Context) -> Result<(), CommandError> {
    state(common)?.put(resource).map_err(told::failure)?;
    show::one(&resource.document(), common.output, context)
}

fn list(kind: Kind, listed: &ListArgs, context: &Context) -> Result<(), CommandError> {
    let found = state(&listed.common)?.list(kind, listed.registry.as_deref()).map_err(told::failure)?;
    let documents: Vec<_> = found.iter().map(Resource::document).collect();
    show::many(&documents, kind, listed.common.output, context)
}

fn show(kind: Kind, named: &NamedResource, context: &Context) -> Result<(), CommandError> {
    let found = state(&named.common)?.get(&id(kind, named)).map_err(told::failure)?;
    show::one(&found.document(), named.common.output, context)
}

fn delete(kind: Kind, named: &NamedResource, context: &Context) -> Result<(), CommandError> {
    state(&named.common)?.delete(&id(kind, named)).map_err(told::failure)?;
    context.status().say(&format!("deleted the {} {}", kind.noun(), named.name));
    Ok(())
}
