use airlift::pipeline::{
    self, Error,
    resource::{self, Problem, Resource, file},
};
use serde_json::Value;

use super::{run, show, state, told};
use crate::{args::apply::Args, artifacts, context::Context, failure::CommandError};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let resources = read(args)?;
    let state = state(&args.common)?;
    check(&resources, &state)?;
    state.put_all(&resources).map_err(told::failure)?;
    let mut documents: Vec<Value> = Vec::new();
    let mut bad = None;
    for resource in &resources {
        documents.push(match resource {
            Resource::Run(one) => {
                let ran = run::done(&state, one, args.jobs, context)?;
                bad = bad.or_else(|| told::ended(&ran.record));
                ran.record.document()
            }
            pipeline => pipeline.document(),
        });
    }
    show::any(&documents, args.common.output, context)?;
    bad.map_or(Ok(()), Err)
}

/// Every resource of every file, pipelines before runs; or every problem that they have.
fn read(args: &Args) -> Result<Vec<Resource>, CommandError> {
    let (mut resources, mut problems) = (Vec::new(), Vec::new());
    for path in &args.file {
        let name = path.display().to_string();
        let documents = file::documents(&artifacts::read(path)?, &name).map_err(told::failure)?;
        for (at, document) in documents.iter().enumerate() {
            match resource::read(document, None) {
                Ok(resource) => resources.push(resource),
                Err(found) => problems.extend(found.into_iter().map(|Problem { path, problem }| Problem {
                    path: format!("{name}[{at}].{}", path.trim_start_matches('.')),
                    problem,
                })),
            }
        }
    }
    if !problems.is_empty() {
        let what = args.file.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        return Err(told::failure(Error::Invalid { what, problems }));
    }
    resources.sort_by_key(|resource| matches!(resource, Resource::Run(_)));
    Ok(resources)
}

/// Holds the runs against their pipelines, those of the files before those of the state, while nothing is stored yet.
fn check(resources: &[Resource], state: &pipeline::PipelineState) -> Result<(), CommandError> {
    for one in resources {
        let Resource::Run(run) = one else { continue };
        let id = &run.request.pipeline;
        let own = resources.iter().find(|resource| resource.id() == *id).cloned();
        let pipeline = own.map_or_else(|| state.get(id), Ok).map_err(told::failure)?;
        pipeline::check(&pipeline, &mut run.clone()).map_err(told::failure)?;
    }
    Ok(())
}
