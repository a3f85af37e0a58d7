//! The whole journey on this machine, with sample artifacts.

mod journey;
mod parts;
mod samples;
mod site;

use std::path::Path;

use crate::{
    args::{Jobs, demo::Args},
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output, runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    if let Some(folder) = &args.keep {
        std::fs::create_dir_all(folder).map_err(|source| Mistake::Write { path: folder.clone(), source })?;
        go(folder, context)?;
        context.status().say(&format!("everything is in {}", folder.display()));
        return Ok(());
    }
    let folder = tempfile::TempDir::with_prefix("airlift-demo-")
        .map_err(|source| Mistake::Write { path: std::env::temp_dir(), source })?;
    go(folder.path(), context)
}

fn go(folder: &Path, context: &Context) -> Result<(), CommandError> {
    let client = context.client(Jobs::default())?;
    let say = |line: String| {
        if !context.json() {
            // A closed pipe ends the telling, not the journey.
            let _ = output::print(format!("{line}\n").as_bytes());
        }
    };
    let summary = runtime::run(journey::run(&client, folder, say))?;
    if context.json() {
        return context.answer(&summary, |_| String::new());
    }
    Ok(())
}
