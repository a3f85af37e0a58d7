use std::path::{Path, PathBuf};

use airlift::{
    bundle::Goal,
    storage::{self, Location, Settings},
    transfer::{
        export::{self, Destination, Request},
        protect,
        resolve::Limits,
    },
};

use crate::{
    args::export::{Args, Foreign},
    artifacts,
    context::Context,
    failure::Failure,
    mistake::Mistake,
    output::{plan, report},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let request = request(args)?;
    let to = destination(args)?;
    if args.recovery.is_some() && !matches!(to, Destination::File { .. } | Destination::Volumes(_)) {
        return Err(Mistake::RecoveryElsewhere.into());
    }
    let client = context.client()?;
    let progress = context.progress();
    if args.transfer.dry_run {
        let planned = runtime::run(async { Ok(export::plan(&client, &request, &progress).await) })?;
        return plan::export(planned, &args.transfer, context);
    }
    let is_stdout = matches!(to, Destination::Stdout);
    let outcome = runtime::run(async {
        Ok(match (args.recovery, &to) {
            (Some(percent), Destination::File { path, overwrite }) => {
                protect::export(&client, &request, (path, *overwrite), percent, &progress).await
            }
            (Some(percent), Destination::Volumes(goal)) => {
                protect::export_set(&client, &request, goal.clone(), percent, &progress).await
            }
            _ => export::run(&client, &request, to, &progress).await,
        })
    })?;
    report::conclude(outcome, &args.transfer, context, |found| {
        if is_stdout { context.answer_aside(found, report::text) } else { context.answer(found, report::text) }
    })
}

fn request(args: &Args) -> Result<Request, Failure> {
    Ok(Request {
        artifacts: artifacts::asked_for(args)?,
        platforms: args.platform.clone(),
        foreign: match args.foreign {
            Foreign::Include => export::Foreign::Include,
            Foreign::Skip => export::Foreign::Skip,
        },
        referrers: !args.no_referrers,
        continue_on_errors: args.transfer.continue_on_errors,
        jobs: args.transfer.jobs.count(),
        limits: Limits::default(),
    })
}

fn destination(args: &Args) -> Result<Destination, Failure> {
    let overwrite = args.overwrite;
    let place = artifacts::location(&args.output)?;
    if let Some(size) = args.volume_size {
        let Location::Path(path) = place else { return Err(Mistake::NotLocal { place }.into()) };
        let (folder, name) = set_name(&path);
        return Ok(Destination::Volumes(Goal { folder, name, size, only: args.only_volume, overwrite }));
    }
    Ok(match place {
        Location::Standard => Destination::Stdout,
        Location::Path(path) => Destination::File { path, overwrite },
        place => Destination::Object { object: storage::open(&place, &Settings::from_env())?, overwrite },
    })
}

/// The folder and the name of a set: a folder gives its files the name `bundle`, and a name may end as a bundle's does.
fn set_name(path: &Path) -> (PathBuf, String) {
    let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().filter(|_| !is_folder).map(|name| name.to_string_lossy().into_owned());
    let folder = if is_folder { Some(path) } else { path.parent() };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = name.unwrap_or_else(|| "bundle".to_owned());
    (folder.to_owned(), name.strip_suffix(".tar").unwrap_or(&name).to_owned())
}
