use std::path::PathBuf;

use airlift::{
    content::{Class, Code, Fault as _},
    storage::Location,
    transfer::{
        self, Opened, protect,
        sets::{self, Named},
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
    failure::Failure,
    mistake::Mistake,
    output::findings::{self, Verdict},
    runtime,
};

/// Whoever only reads has nothing to go on with.
const AGAIN: &str = "Run the same command again: it begins anew, and nothing was changed.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut verdicts = Vec::new();
    let trust = args.trust.as_deref().map(TrustFile::open).transpose()?;
    artifacts::warn_of_unfinished(&args.bundles, context);
    let places = args.bundles.iter().map(|path| artifacts::location(path)).collect::<Result<Vec<_>, _>>()?;
    for named in runtime::run(async { Ok(sets::sets(&places, &context.storage()).await?) })? {
        let verdict = verdict(&named, args.jobs.count(), trust.as_ref(), context);
        verdicts.push(verdict.map_err(|failure| failure.hint_for(&[Code::Interrupted], AGAIN))?);
    }
    context.answer(&verdicts, |verdicts| verdicts.iter().map(findings::text).collect())?;
    let bad = verdicts.iter().filter_map(Verdict::refusal);
    match bad.clone().next() {
        None => Ok(()),
        Some(code) => Err(Mistake::Unsound { bad: bad.count(), all: verdicts.len(), code }.into()),
    }
}

/// Verifies one bundle or set. That it cannot be read as one is a finding, if its content is to blame.
fn verdict(named: &Named, jobs: usize, trust: Option<&TrustFile>, context: &Context) -> Result<Verdict, Failure> {
    let progress = context.progress();
    runtime::run(async {
        let places = named.places();
        let path = places.first().map(|place| PathBuf::from(place.to_string())).unwrap_or_default();
        let opened = Opened::survey_all(places, &context.storage()).await;
        let surveyed = match places {
            [Location::Path(path), ..] => protect::survey_of(path, &progress).await,
            _ => Ok(None),
        };
        let verdict = match opened {
            Ok((bundle, set)) => {
                let verification = verify(bundle.reader(), jobs, &progress).await?;
                let verdict = Verdict::of(bundle.path(), verification).with_set(bundle.reader(), set.as_ref());
                match trust {
                    None => verdict,
                    Some(trust) => {
                        verdict.with_trust(&vouch::judge(&bundle, trust, Timestamp::now()).map_err(refusal)?)
                    }
                }
            }
            Err(transfer::Error::Bundle(error)) => {
                let protected = matches!(surveyed, Ok(Some(_)));
                let verdict = Verdict::unreadable(&path, error, protected)?;
                match named {
                    Named::One(Location::Path(path)) => {
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
