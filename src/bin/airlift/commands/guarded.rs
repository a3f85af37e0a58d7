//! What `--trust`, `--allow-older` and `--record` add to a command that admits bundles: a check before anything is
//! touched, and a line in the transfer record after it.

use std::path::PathBuf;

use airlift::{
    content::Fault,
    pipeline::{PipelineState, host},
    transfer::{
        Opened, Report,
        vouch::{self, Guard, VouchError},
    },
    trust::{
        TrustFile, TrustVerdict,
        record::{self, Leg, RecordEntry, RecordedBundle},
    },
};
use jiff::Timestamp;

use super::record::NAME;
use crate::{args::Trust, failure::CommandError, output::trust};

/// The guard of one run.
pub(crate) struct Guarded {
    guard: Option<Guard>,
    record: Option<PathBuf>,
    reason: Option<String>,
}

/// The bundles of a run, each with who vouches for it if that was asked.
pub(crate) struct Admitted {
    bundles: Vec<(Option<RecordedBundle>, String)>,
    verdicts: Vec<TrustVerdict>,
}

impl Guarded {
    /// Reads the trust file and opens the marks.
    pub(crate) fn new(args: &Trust) -> Result<Self, CommandError> {
        let reason = args.allow_older.clone();
        let Some(path) = &args.trust else { return Ok(Self { guard: None, record: args.record.clone(), reason }) };
        let trust = TrustFile::open(path)?;
        let state = args.state.clone().map_or_else(PipelineState::default_dir, Ok)?;
        let guard = Guard::new(trust, &state, reason.is_some())?;
        let record = args.record.clone().unwrap_or_else(|| state.join(NAME));
        Ok(Self { guard: Some(guard), record: Some(record), reason })
    }

    /// Refuses bundles that are not trusted, before anything is done with any of them. A refusal is recorded, and what
    /// cannot be recorded is not done.
    pub(crate) async fn admit(&self, bundles: &[Opened], to: &str) -> Result<Admitted, CommandError> {
        if let Some(path) = &self.record {
            record::check(path)?;
        }
        let of = |bundle: &Opened| {
            let recorded =
                vouch::at_hand(bundle.reader()).map(|found| RecordedBundle { id: found.id, seal: found.seal });
            (recorded, bundle.path().display().to_string())
        };
        let mut admitted = Admitted { bundles: bundles.iter().map(of).collect(), verdicts: Vec::new() };
        let Some(guard) = &self.guard else { return Ok(admitted) };
        match guard.admit(bundles, Timestamp::now()).await {
            Ok(verdicts) => admitted.verdicts = verdicts,
            Err(error) => {
                self.write(&admitted, error.code().token(), to)?;
                return Err(refusal(error));
            }
        }
        Ok(admitted)
    }

    /// As [`Self::admit`], for a run that changes nothing: nothing is recorded.
    pub(crate) async fn check(&self, bundles: &[Opened]) -> Result<(), CommandError> {
        let Some(guard) = &self.guard else { return Ok(()) };
        guard.admit(bundles, Timestamp::now()).await.map(|_| ()).map_err(refusal)
    }

    /// Raises the marks if something was published, and writes the record.
    pub(crate) fn conclude(
        &mut self,
        admitted: &Admitted,
        outcome: Result<&Report, &(impl Fault + ?Sized)>,
        to: &str,
    ) -> Result<(), CommandError> {
        let result = match outcome {
            Ok(report) if report.failed() => "partial",
            Ok(_) => "done",
            Err(error) => error.code().token(),
        };
        if let (Some(guard), Ok(_)) = (&mut self.guard, outcome) {
            guard.imported(&admitted.verdicts, Timestamp::now())?;
        }
        self.write(admitted, result, to)
    }

    fn write(&self, admitted: &Admitted, result: &str, to: &str) -> Result<(), CommandError> {
        let Some(path) = &self.record else { return Ok(()) };
        for (at, (bundle, from)) in admitted.bundles.iter().enumerate() {
            let mut entry = RecordEntry::new(Leg::Import, result, &who(), Timestamp::now());
            entry.bundle.clone_from(bundle);
            (entry.from, entry.to) = (Some(from.clone()), Some(to.to_owned()));
            entry.reason.clone_from(&self.reason);
            if let Some(verdict) = admitted.verdicts.get(at) {
                entry.signers.clone_from(&verdict.signers);
                if let Some(statement) = &verdict.statement {
                    entry.stream.clone_from(&statement.stream);
                    entry.sequence = statement.sequence;
                    entry.reason = entry.reason.or_else(|| statement.reason.clone());
                }
            }
            record::append(path, entry)?;
        }
        Ok(())
    }
}

/// The failure, with a line for each finding.
pub(crate) fn refusal(error: VouchError) -> CommandError {
    let details = match &error {
        VouchError::Refused { findings, .. } => trust::lines(findings),
        _ => Vec::new(),
    };
    CommandError::from(error).details(details)
}

/// The account and the machine.
fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    format!("{}@{}", user.unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw())), host())
}
