use std::path::Path;

use airlift::{
    content::{Class, Fault as _},
    storage::{Location, Settings},
    transfer::{self, Opened, protect, verify::verify},
};

use crate::{
    args::verify::Args,
    artifacts,
    context::Context,
    failure::Failure,
    mistake::Mistake,
    output::findings::{self, Verdict},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut verdicts = Vec::new();
    for path in &args.bundles {
        verdicts.push(verdict(&artifacts::location(path)?, args.jobs.count(), context)?);
    }
    context.answer(&verdicts, |verdicts| verdicts.iter().map(findings::text).collect())?;
    let bad = verdicts.iter().filter_map(|verdict| verdict.findings.first());
    match bad.clone().next() {
        None => Ok(()),
        Some(first) => Err(Mistake::Unsound { bad: bad.count(), all: verdicts.len(), code: first.code }.into()),
    }
}

/// Verifies one bundle. That it cannot be read as one is a finding, if its content is to blame.
fn verdict(place: &Location, jobs: usize, context: &Context) -> Result<Verdict, Failure> {
    let progress = context.progress();
    runtime::run(async {
        let opened = Opened::open(place, &Settings::from_env()).await;
        let surveyed = match place {
            Location::Path(path) => protect::survey_of(path, &progress).await,
            _ => Ok(None),
        };
        let verdict = match opened {
            Ok(bundle) => Verdict::of(bundle.path(), verify(bundle.reader(), jobs, &progress).await?),
            Err(transfer::Error::Bundle(error)) => {
                let protected = matches!(surveyed, Ok(Some(_)));
                Verdict::unreadable(Path::new(&place.to_string()), error, protected)?
            }
            Err(error) => return Err(error.into()),
        };
        match surveyed {
            Ok(None) => Ok(verdict),
            Ok(Some(survey)) => Ok(verdict.with_recovery(&survey)),
            Err(error) if error.code().class() == Class::Unverified => Ok(verdict.without_recovery(&error)),
            Err(error) => Err(error.into()),
        }
    })
}
