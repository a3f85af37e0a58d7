//! `export --sign`: the statement and the signature, once the bundle is there.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use airlift::{
    content::Code,
    storage::Location,
    transfer::{
        self, Opened, Report,
        delta::needs::needs,
        export::{Destination, Request},
        legs::LegRecord,
        signing::{self, Placed, SignBy, SignedStatement},
        vouch,
    },
    trust::{BaseProof, Signer, record::Leg},
};
use jiff::Timestamp;

use crate::{
    args::{StatementMembers, export::Args},
    artifacts,
    commands::guarded,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    statements::{self, apply, explained},
};

/// What signs, and what it says.
pub(crate) struct ExportSigning<'a> {
    signer: Signer,
    members: &'a StatementMembers,
    state: PathBuf,
    overwrite: bool,
    base_proof: Option<BaseProof>,
}

/// The key that the export is signed with, if it is. It is opened before the run, so that a run of hours does not end with a
/// password that is wrong.
pub(super) fn of<'a>(
    args: &'a Args,
    request: &Request,
    to: &Destination,
) -> Result<Option<ExportSigning<'a>>, CommandError> {
    let signing = ExportSigning::of(args.sign.as_deref(), &args.members, args.overwrite, to)?;
    Ok(signing.map(|signing| ExportSigning { base_proof: request.bases.proof(), ..signing }))
}

/// Refuses members of a statement that is not made.
fn unasked(members: &StatementMembers) -> Result<(), CommandError> {
    let StatementMembers { stream, sequence: _, expires, authorised_by, reason, marking, state: _ } = members;
    let given = [
        ("--stream", stream),
        ("--expires", expires),
        ("--authorised-by", authorised_by),
        ("--reason", reason),
        ("--marking", marking),
    ];
    match given.into_iter().find(|(_, value)| value.is_some()) {
        Some((option, _)) => Err(Mistake::NoStatement { option }.into()),
        None => Ok(()),
    }
}

impl<'a> ExportSigning<'a> {
    /// Opens `key`, if there is one to sign with.
    pub(crate) fn of(
        key: Option<&Path>,
        members: &'a StatementMembers,
        overwrite: bool,
        to: &Destination,
    ) -> Result<Option<Self>, CommandError> {
        let Some(key) = key else { return unasked(members).map(|()| None) };
        if !matches!(to, Destination::File { .. } | Destination::Volumes(_)) {
            return Err(Mistake::SignElsewhere.into());
        }
        let signer = statements::signer(key, false)?;
        let state = statements::state(members.state.as_deref())?;
        Ok(Some(Self { signer, members, state, overwrite, base_proof: None }))
    }

    /// Signs the bundle at `path`, and says what it wrote.
    pub(crate) async fn sign(mut self, path: PathBuf, context: &Context) -> Result<SignedStatement, CommandError> {
        let (opened, set) = Opened::survey(&Location::Path(path), &context.storage()).await?;
        let mut draft = vouch::statement(&opened, set.as_ref(), Timestamp::now())?;
        // An export with a base that leaves nothing out is not a delta.
        let is_delta = needs(opened.reader().contents().absent.values()).is_some();
        draft.base_proof = self.base_proof.filter(|_| is_delta);
        let base = vouch::named_after(&opened, set.as_ref())?;
        let exact = apply(self.members, &mut draft)?;
        if self.overwrite {
            signing::remove_stale(&base, &draft.bundle).map_err(explained)?;
        }
        let by = SignBy::Signer(&mut self.signer);
        let signed = signing::sign(&base, &draft, exact, by, None, &self.state).map_err(explained)?;
        for placed in std::iter::once(&signed.placed).chain(&signed.signature) {
            if let Placed::Written(path) = placed {
                context.status().say(&format!("wrote {}", path.display()));
            }
        }
        Ok(signed)
    }
}

/// Signs the bundle that was written, says so, and records the leg.
pub(super) async fn conclude(
    outcome: &Result<Report, transfer::Error>,
    signing: Option<ExportSigning<'_>>,
    record: &LegRecord,
    args: &Args,
    context: &Context,
) -> Result<(), CommandError> {
    let Ok(report) = outcome else { return Ok(()) };
    let signed = match signing {
        None => None,
        Some(signing) => Some(signing.sign(report.output.clone().unwrap_or_default(), context).await?),
    };
    let result = if report.failed() { Code::TransferPartial.token() } else { "done" };
    let at = match &report.output {
        Some(path) => Location::Path(path.clone()),
        None => artifacts::location(&args.output)?,
    };
    let known = report.bundle.filter(|_| !matches!(at, Location::Standard));
    guarded::write(record, (Leg::Export, result), (&at, known), context, |entry| {
        entry.from = Some(sources(report, args));
        entry.to = Some(at.to_string());
        let statement = signed.map(|signed| signed.statement);
        (entry.stream, entry.sequence, entry.reason) =
            statement.map(|one| (one.stream, one.sequence, one.reason)).unwrap_or_default();
    })
    .await
}

/// The registries, or the local places, that the artifacts came from.
fn sources(report: &Report, args: &Args) -> String {
    let places: BTreeSet<String> = if args.from.is_empty() {
        report.artifacts.iter().map(|one| one.reference.registry().to_owned()).collect()
    } else {
        args.from.iter().map(|path| path.display().to_string()).collect()
    };
    places.into_iter().collect::<Vec<_>>().join(", ")
}
