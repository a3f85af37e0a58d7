use airlift::pipeline::resource::Kind;
use serde_json::json;

use super::{delete, input, list, put, show};
use crate::{
    args::export_pipeline::{Args, CreateExportPipeline, ExportPipelineCommand},
    context::Context,
    failure::CommandError,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match &args.what {
        ExportPipelineCommand::Create(args) => create(args, context),
        ExportPipelineCommand::List(args) => list(Kind::ExportPipeline, args, context),
        ExportPipelineCommand::Show(args) => show(Kind::ExportPipeline, args, context),
        ExportPipelineCommand::Delete(args) => delete(Kind::ExportPipeline, &args.named, context),
    }
}

fn create(args: &CreateExportPipeline, context: &Context) -> Result<(), CommandError> {
    let typed = || {
        let mut document = input::pipeline(&args.pipeline, "target");
        document["properties"]["options"] = json!(args.options);
        if let Some(count) = args.max_artifacts {
            document["properties"]["maxArtifacts"] = json!(count);
        }
        if let Some(size) = &args.volume_size {
            document["properties"]["volumeSize"] = json!(size);
        }
        document
    };
    let resource = input::resource(args.pipeline.file.as_deref(), Kind::ExportPipeline, typed)?;
    put(&resource, &args.pipeline.common, context)
}
