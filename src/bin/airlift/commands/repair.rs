use airlift::transfer::protect;

use crate::{
    args::repair::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::recovery::{self, RepairResult},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let mut paths = Vec::new();
    // What an earlier run has rebuilt there counts as well.
    for path in args.output.iter().chain(&args.set) {
        paths.push(artifacts::local(path)?.to_owned());
    }
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .map_err(|source| crate::mistake::Mistake::Write { path: folder.clone(), source })?;
    }
    let progress = context.progress();
    let answer = runtime::run(async {
        let survey = protect::survey(&paths, &progress).await?;
        // Recovery data of other files lies beside many a file.
        if let Some(path) = args.set.iter().find(|path| !path.is_dir() && !survey.covers(path)) {
            return Err(airlift::recovery::Error::NotFound { path: path.clone() }.into());
        }
        let outlook = survey.outlook.clone();
        match survey.repair(args.output.clone(), &progress).await {
            Ok(repaired) => Ok(RepairResult::of(outlook, repaired)),
            Err(error) => Err(CommandError::from(error).details(recovery::damages(&outlook))),
        }
    })?;
    context.answer(&answer, recovery::text)
}
