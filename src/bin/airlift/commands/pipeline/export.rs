use airlift::pipeline::resource::Kind;
use serde_json::json;

use super::{delete, input, list, put, show};
use crate::{
    args::export_pipeline::{Args, Create, What},
    context::Context,
    failure::Failure,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.what {
        What::Create(args) => create(args, context),
        What::List(args) => list(Kind::ExportPipeline, args, context),
        What::Show(args) => show(Kind::ExportPipeline, args, context),
        What::Delete(args) => delete(Kind::ExportPipeline, &args.named, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<(), Failure> {
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
