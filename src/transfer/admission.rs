//! What comes before an import and after it: who vouches for the bundles, whether they are older than what came before, and
//! the line in the transfer record.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    legs::LegRecord,
    opened::Opened,
    report::{ArtifactState, Report},
    vouch::{self, ImportGuard, Result},
};
use crate::{
    content::{Code, Fault},
    holding::Receipt,
    trust::{
        Marks, Statement, TrustVerdict,
        record::{Leg, RecordEntry, RecordedBundle},
    },
};

/// The checks of one run.
#[derive(Debug)]
pub struct Admission {
    /// Whom the site trusts. Without it, everything is admitted.
    pub guard: Option<ImportGuard>,
    /// Where the run is recorded.
    pub record: LegRecord,
    /// Why an older bundle is allowed.
    pub reason: Option<String>,
    /// The folder of the marks, for the warning of a run without a trust file.
    pub state: Option<PathBuf>,
}

/// The bundles of a run, each with who vouches for it if that was asked.
#[derive(Debug, Default)]
pub struct Admitted {
    bundles: Vec<AdmittedBundle>,
    verdicts: Vec<TrustVerdict>,
    /// What the person should know: a bundle is older than what came before.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
struct AdmittedBundle {
    recorded: Option<RecordedBundle>,
    from: String,
    /// What is beside it says so, and nobody has checked it.
    claimed: Option<Statement>,
}

impl Admitted {
    /// Says in a receipt which place in which stream its bundles have, by their statements.
    pub fn name_positions(&self, receipt: &mut Receipt) {
        for (at, bundle) in self.bundles.iter().enumerate() {
            let judged = self.verdicts.get(at).and_then(|verdict| verdict.statement.as_ref());
            let Some(statement) = judged.or(bundle.claimed.as_ref()) else { continue };
            for received in receipt.bundles.iter_mut().filter(|one| one.id == statement.bundle.id) {
                (received.stream, received.sequence) = (statement.stream.clone(), statement.sequence);
            }
        }
    }
}

impl Admission {
    /// Refuses bundles that are not trusted, before anything is done with any of them. A refusal is recorded, and what
    /// cannot be recorded is not done. `to` is the target.
    ///
    /// # Errors
    /// [`vouch::VouchError::Refused`] for the first that is not trusted.
    pub async fn admit(&self, bundles: &[Opened], to: &str) -> Result<Admitted> {
        self.record.check()?;
        let mut admitted = Admitted::default();
        for bundle in bundles {
            admitted.bundles.push(self.describe(bundle).await);
        }
        let Some(guard) = &self.guard else {
            admitted.warnings = self.older(&admitted.bundles);
            return Ok(admitted);
        };
        match guard.admit(bundles, Timestamp::now()).await {
            Ok(verdicts) => admitted.verdicts = verdicts,
            Err(error) => {
                self.write(&admitted, error.code().token(), to)?;
                return Err(error);
            }
        }
        Ok(admitted)
    }

    /// As [`Self::admit`], for a run that changes nothing: nothing is recorded.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub async fn check(&self, bundles: &[Opened]) -> Result<()> {
        match &self.guard {
            Some(guard) => guard.admit(bundles, Timestamp::now()).await.map(drop),
            None => Ok(()),
        }
    }

    async fn describe(&self, bundle: &Opened) -> AdmittedBundle {
        let at_hand = vouch::at_hand(bundle.reader());
        let recorded = at_hand.as_ref().map(|found| RecordedBundle { id: found.id, seal: found.seal });
        let evidence = if self.guard.is_none() { vouch::evidence(bundle).await.ok() } else { None };
        let statement = evidence.and_then(|evidence| Statement::parse(&evidence.statement?).ok());
        let claimed = statement.filter(|one| at_hand.is_some_and(|bundle| bundle.is(&one.bundle)));
        AdmittedBundle { recorded, from: bundle.path().display().to_string(), claimed }
    }

    /// Bundles that say of themselves that they are older than one that was imported here.
    fn older(&self, bundles: &[AdmittedBundle]) -> Vec<String> {
        let positions = bundles.iter().filter_map(|one| Some((one, one.claimed.as_ref()?.position()?)));
        let positions: Vec<_> = positions.collect();
        // Most bundles say nothing; for them no database is opened.
        let Some(marks) = self.state.as_ref().filter(|_| !positions.is_empty()).and_then(|dir| Marks::open(dir).ok())
        else {
            return Vec::new();
        };
        let warning = |(bundle, (stream, sequence)): (&AdmittedBundle, (&str, u64))| {
            let newest = marks.newest(stream).ok().flatten().filter(|newest| *newest > sequence)?;
            Some(format!(
                "{} is number {sequence} of {stream}, and number {newest} was imported here: tags may go back to older content",
                bundle.from
            ))
        };
        positions.into_iter().filter_map(warning).collect()
    }

    /// Raises the marks if something was published, and writes the record.
    ///
    /// # Errors
    /// The marks or the record cannot be written.
    pub fn conclude<E: Fault + ?Sized>(
        &mut self,
        admitted: &Admitted,
        outcome: std::result::Result<&Report, (&E, Option<&Report>)>,
        to: &str,
    ) -> Result<()> {
        let (result, report) = match outcome {
            Ok(report) if report.failed() => (Code::TransferPartial.token(), Some(report)),
            Ok(report) => ("done", Some(report)),
            Err((error, report)) => (error.code().token(), report),
        };
        let is_there = |state| matches!(state, ArtifactState::Done | ArtifactState::AlreadyThere);
        if report.is_some_and(|report| report.artifacts.iter().any(|one| is_there(one.state))) {
            self.raise(admitted)?;
        }
        self.write(admitted, result, to)
    }

    fn raise(&mut self, admitted: &Admitted) -> Result<()> {
        if let Some(guard) = &mut self.guard {
            return guard.imported(&admitted.verdicts, Timestamp::now());
        }
        let claimed: Vec<_> = admitted.bundles.iter().filter_map(|one| one.claimed.as_ref()?.position()).collect();
        let Some(dir) = self.state.as_ref().filter(|_| !claimed.is_empty()) else { return Ok(()) };
        // A warning of a later run needs it, and nothing else.
        let noted = Marks::open(dir)
            .and_then(|mut marks| claimed.into_iter().try_for_each(|(stream, sequence)| marks.note(stream, sequence)));
        if let Err(error) = noted {
            tracing::warn!(%error, "a later import cannot be warned of older bundles");
        }
        Ok(())
    }

    fn write(&self, admitted: &Admitted, result: &str, to: &str) -> Result<()> {
        for (at, bundle) in admitted.bundles.iter().enumerate() {
            let verdict = admitted.verdicts.get(at);
            self.record.append(Leg::Import, result, |entry| self.fill(entry, bundle, verdict, to))?;
        }
        Ok(())
    }

    fn fill(&self, entry: &mut RecordEntry, bundle: &AdmittedBundle, verdict: Option<&TrustVerdict>, to: &str) {
        entry.bundle.clone_from(&bundle.recorded);
        (entry.from, entry.to) = (Some(bundle.from.clone()), Some(to.to_owned()));
        entry.reason.clone_from(&self.reason);
        let Some(verdict) = verdict else { return };
        entry.signers.clone_from(&verdict.signers);
        if let Some(statement) = &verdict.statement {
            entry.stream.clone_from(&statement.stream);
            entry.sequence = statement.sequence;
            entry.reason = entry.reason.take().or_else(|| statement.reason.clone());
        }
    }
}
