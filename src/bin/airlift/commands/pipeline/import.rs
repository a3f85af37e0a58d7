use airlift::pipeline::resource::Kind;
use serde_json::json;

use super::{delete, input, list, put, show};
use crate::{
    args::import_pipeline::{Args, Create, What},
    context::Context,
    failure::Failure,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.what {
        What::Create(args) => create(args, context),
        What::List(args) => list(Kind::ImportPipeline, args, context),
        What::Show(args) => show(Kind::ImportPipeline, args, context),
        What::Delete(args) => delete(Kind::ImportPipeline, &args.named, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<(), Failure> {
    let typed = || {
        let mut document = input::pipeline(&args.pipeline, "source");
        document["properties"]["options"] = json!(args.options);
        let status = if args.source_trigger_enabled.unwrap_or(true) { "Enabled" } else { "Disabled" };
        document["properties"]["trigger"] = json!({ "sourceTrigger": { "status": status } });
        document
    };
    let resource = input::resource(args.pipeline.file.as_deref(), Kind::ImportPipeline, typed)?;
    put(&resource, &args.pipeline.common, context)
}
