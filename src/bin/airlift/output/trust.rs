//! Who vouches for a bundle, for people and scripts.

use std::fmt::Write as _;

use airlift::{
    content::Code,
    trust::{BaseProof, Evidence, Signature, Statement, TrustFinding, TrustVerdict},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What `--trust` found.
#[derive(Serialize)]
pub(crate) struct TrustReport {
    accepted: bool,
    /// Distinct signers that count.
    signers: Vec<String>,
    /// How many are required.
    require: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement>,
    findings: Vec<TrustLine>,
    #[serde(skip)]
    pub(crate) refusal: Option<Code>,
}

/// One finding.
#[derive(Serialize)]
struct TrustLine {
    /// None for a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'static str>,
    message: String,
}

impl From<&TrustVerdict> for TrustReport {
    fn from(verdict: &TrustVerdict) -> Self {
        let line =
            |finding: &TrustFinding| TrustLine { token: finding.code().map(Code::token), message: finding.to_string() };
        Self {
            accepted: verdict.is_accepted(),
            signers: verdict.signers.clone(),
            require: verdict.require,
            statement: verdict.statement.clone(),
            findings: verdict.findings.iter().map(line).collect(),
            refusal: verdict.refusal(),
        }
    }
}

/// The lines below a bundle's verdict.
pub(crate) fn text(report: &TrustReport) -> String {
    let mut text = String::new();
    let verdict = if report.accepted { "trusted" } else { "not trusted" };
    let signers = if report.signers.is_empty() { "nobody".to_owned() } else { report.signers.join(", ") };
    let _ = writeln!(text, "  {verdict}; signed by {signers} ({} required)", report.require);
    if let Some(statement) = &report.statement {
        let _ = writeln!(text, "  {}", summary(statement));
    }
    for TrustLine { token, message } in &report.findings {
        let _ = writeln!(text, "  [{}] {message}", token.unwrap_or("warning"));
    }
    text
}

/// The lines of an error that refuses a bundle.
pub(crate) fn lines(findings: &[TrustFinding]) -> Vec<String> {
    let line = |finding: &TrustFinding| {
        let token = finding.code().map_or("warning", Code::token);
        format!("[{token}] {finding}")
    };
    findings.iter().map(line).collect()
}

/// A statement in one line.
fn summary(statement: &Statement) -> String {
    let mut text = match (&statement.stream, statement.sequence) {
        (Some(stream), Some(sequence)) => {
            format!("stream {stream}, sequence {sequence}, created {}", statement.created)
        }
        _ => format!("created {}", statement.created),
    };
    let _ = write!(text, " ({})", age(statement.age(Timestamp::now())));
    if let Some(expires) = statement.expires {
        let _ = write!(text, ", expires {expires}");
    }
    if let Some(proof) = statement.base_proof {
        let word = match proof {
            BaseProof::Proven => "the receiver has confirmed its base",
            BaseProof::Declared => "its base was sent, and the receiver has not confirmed it",
        };
        let _ = write!(text, ", {word}");
    }
    for (name, value) in [
        ("authorised by", &statement.authorised_by),
        ("from", &statement.from),
        ("to", &statement.to),
        ("for", &statement.reason),
        ("marking", &statement.marking),
    ] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text
}

fn age(age: SignedDuration) -> String {
    match age.as_hours() {
        ..0 => "in the future".to_owned(),
        0 => format!("{} min ago", age.as_mins()),
        1..48 => format!("{} h ago", age.as_hours()),
        hours => format!("{} d ago", hours / 24),
    }
}

/// What lies beside a bundle, as `inspect` shows it: nothing of it is checked against keys.
#[derive(Serialize)]
pub(crate) struct Beside {
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement>,
    /// Why the statement is not this bundle's, or none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<SignatureLine>,
}

/// One signature file.
#[derive(Serialize)]
struct SignatureLine {
    file: String,
    kind: String,
    /// Who it says made it, or why it cannot be read.
    claim: String,
}

impl Beside {
    /// What can be shown of `evidence`, if there is any. `is_of` tells whether a statement is the bundle's.
    pub(crate) fn of(evidence: &Evidence, is_of: impl FnOnce(&Statement) -> bool) -> Option<Self> {
        let bytes = evidence.statement.as_ref()?;
        let (statement, problem) = match Statement::parse(bytes) {
            Ok(statement) if is_of(&statement) => (Some(statement), None),
            Ok(statement) => (Some(statement), Some("the statement is of another bundle".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        let signatures = evidence.signatures.iter().map(|file| {
            let claim = match &file.content {
                Err(error) => error.clone(),
                Ok(content) => match Signature::parse(file.format, content) {
                    Err(error) => error.to_string(),
                    Ok(signatures) => signatures.iter().map(Signature::claim).collect::<Vec<_>>().join("; "),
                },
            };
            SignatureLine { file: file.name.clone(), kind: file.format.to_string(), claim }
        });
        Some(Self { statement, problem, signatures: signatures.collect() })
    }

    /// The lines below the table of `inspect`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(statement) = &self.statement {
            let _ = writeln!(text, "statement: {}", summary(statement));
        }
        if let Some(problem) = &self.problem {
            let _ = writeln!(text, "statement: {problem}");
        }
        for SignatureLine { kind, claim, .. } in &self.signatures {
            let _ = writeln!(text, "{kind}: {claim}, not checked (`airlift verify --trust FILE` checks)");
        }
        text
    }
}
