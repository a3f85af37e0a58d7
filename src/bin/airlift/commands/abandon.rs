use std::path::Path;

use airlift::{
    files,
    storage::{self, Abandoned, Location},
};
use serde_json::json;

use crate::{
    args::abandon::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake, output::count, runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match artifacts::location(&args.place)? {
        Location::Path(path) => of_files(&path, context),
        Location::Standard => Err(Mistake::NoStorage.into()),
        place => in_storage(&place, context),
    }
}

fn of_files(path: &Path, context: &Context) -> Result<(), CommandError> {
    let removed = files::abandon(path)?;
    let answer = json!({"path": path.display().to_string(), "files_removed": removed});
    context.answer(&answer, |_| match removed.len() {
        0 => format!("{}: there is nothing unfinished\n", path.display()),
        number => format!("{}: {} removed\n", path.display(), count(number, "unfinished file")),
    })
}

fn in_storage(place: &Location, context: &Context) -> Result<(), CommandError> {
    let abandoned = runtime::run(async {
        let object = storage::open(place, &context.storage())?;
        Ok(object.abandon().await?)
    })?;
    let Abandoned { uploads, removed, left, .. } = abandoned;
    let answer = json!({"path": place.to_string(), "uploads": uploads, "parts_removed": removed, "parts_left": left});
    context.answer(&answer, |_| {
        let parts = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX), "part");
        match (uploads, left) {
            (0, _) => format!("{place}: this machine has left nothing unfinished there\n"),
            (_, 0) => format!("{place}: given up, {} removed\n", parts(removed)),
            _ => format!("{place}: {} there; Azure removes them a week after the last was written\n", parts(left)),
        }
    })
}
