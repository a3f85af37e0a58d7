use std::path::Path;

use airlift::pipeline::resource::Kind;
use serde_json::json;

use super::{delete, input, list, put, show};
use crate::{
    args::import_pipeline::{Args, CreateImportPipeline, ImportPipelineCommand},
    context::Context,
    failure::CommandError,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match &args.what {
        ImportPipelineCommand::Create(args) => create(args, context),
        ImportPipelineCommand::List(args) => list(Kind::ImportPipeline, args, context),
        ImportPipelineCommand::Show(args) => show(Kind::ImportPipeline, args, context),
        ImportPipelineCommand::Delete(args) => delete(Kind::ImportPipeline, &args.named, context),
    }
}

fn create(args: &CreateImportPipeline, context: &Context) -> Result<(), CommandError> {
    let typed = || {
        let mut document = input::pipeline(&args.pipeline, "source");
        document["properties"]["options"] = json!(args.options);
        let status = if args.source_trigger_enabled.unwrap_or(true) { "Enabled" } else { "Disabled" };
        document["properties"]["trigger"] = json!({ "sourceTrigger": { "status": status } });
        if let Some(trust) = args.trust.as_deref().and_then(Path::to_str) {
            document["properties"]["trust"] = json!(input::absolute(trust));
        }
        document
    };
    let resource = input::resource(args.pipeline.file.as_deref(), Kind::ImportPipeline, typed)?;
    put(&resource, &args.pipeline.common, context)
}
