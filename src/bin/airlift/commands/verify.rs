use std::path::PathBuf;

use airlift::{
    check,
    content::{Class, Code, Fault as _},
    storage::Location,
    transfer::{
        self, Opened, protect,
        sets::{self, NamedInput},
        verify::{verify, verify_remains},
        vouch,
    },
    trust::TrustFile,
};

use jiff::Timestamp;

use super::guarded::refusal;
use crate::{
    args::verify::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::findings::{self, BundleVerdict},
    runtime,
};

/// A command that only reads has nothing to resume.
const AGAIN: &str = "Run the same command again: it begins anew, and nothing was changed.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let mut verdicts = Vec::new();
    let trust = args.trust.as_deref().map(TrustFile::open).transpose()?;
    artifacts::warn_of_unfinished(&args.bundles, context);
    let places = args.bundles.iter().map(|path| artifacts::source(path)).collect::<Result<Vec<_>, _>>()?;
    for named in runtime::run(async { Ok(sets::sets(&places, &context.storage()).await?) })? {
        match verdict(&named, args, trust.as_ref(), context) {
            Ok(verdict) => verdicts.push(verdict),
            // What cannot be read is a finding among several; the others are read all the same.
            Err(failure) if args.bundles.len() > 1 && failure.code() != Code::Interrupted => {
                verdicts.push(BundleVerdict::unread(&path(&named), &failure));
            }
            Err(failure) => {
                return Err(artifacts::or_repair(failure, &args.bundles).hint_for(&[Code::Interrupted], AGAIN));
            }
        }
    }
    context.answer(&verdicts, |verdicts| verdicts.iter().map(findings::text).collect())?;
    let bad = verdicts.iter().filter_map(BundleVerdict::refusal);
    let unverified = bad.clone().find(|code| code.class() == Class::Unverified);
    match unverified.or(bad.clone().next()) {
        None => Ok(()),
        Some(code) => {
            let failure: CommandError = Mistake::Unsound { bad: bad.count(), all: verdicts.len(), code }.into();
            Err(failure.or_hint(verdicts.iter().find_map(BundleVerdict::next_step).as_deref()))
        }
    }
}

/// What is shown for where a bundle or set is.
fn path(named: &NamedInput) -> PathBuf {
    named.places().first().map(|place| PathBuf::from(place.to_string())).unwrap_or_default()
}

/// Verifies one bundle or set. That it cannot be read as one is a finding, if its content is to blame.
fn verdict(
    named: &NamedInput,
    args: &Args,
    trust: Option<&TrustFile>,
    context: &Context,
) -> Result<BundleVerdict, CommandError> {
    let (progress, jobs) = (context.progress(), args.jobs.count());
    runtime::run(async {
        let places = named.places();
        let path = path(named);
        let read = artifacts::reading(&args.packed, context).await?;
        let opened = Opened::survey_read(places, &context.storage(), &read).await;
        let surveyed = match places {
            [Location::Path(path), ..] => protect::survey_of(path, &progress).await,
            _ => Ok(None),
        };
        let verdict = match opened {
            Ok((bundle, set)) => {
                let verification = verify(bundle.reader(), jobs, &progress).await?;
                let verdict = BundleVerdict::of(bundle.path(), verification).with_set(bundle.reader(), set.as_ref());
                let verdict = match trust {
                    None => verdict,
                    Some(trust) => {
                        verdict.with_trust(&vouch::judge(&bundle, trust, Timestamp::now()).await.map_err(refusal)?)
                    }
                };
                match args.checks.settings().filter(|_| verdict.findings.is_empty()) {
                    None => verdict,
                    Some(settings) => {
                        let (refusals, _) = check::check(bundle.reader(), &settings, |_| true).await?;
                        verdict.with_refusals(refusals)
                    }
                }
            }
            Err(transfer::Error::Bundle(error)) => {
                let protected = matches!(surveyed, Ok(Some(_)));
                let verdict = BundleVerdict::unreadable(&path, error, protected)?;
                match named {
                    NamedInput::One(Location::Path(path)) => {
                        verdict.with_remains(verify_remains(path, jobs, &progress).await?)
                    }
                    _ => verdict,
                }
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
