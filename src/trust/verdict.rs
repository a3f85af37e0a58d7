//! Whether a statement with its signatures is accepted, and everything that was found on the way.

mod finding;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

pub use finding::TrustFinding;

use super::{
    BundleAtHand, Signature, Statement, TrustFile,
    signature::{Judgement, SignatureError, SignatureFormat},
};
use crate::content::Code;

/// Signature files of one statement that a reader takes.
pub const MAX_SIGNATURES: usize = 64;

/// How far ahead of this machine's clock a statement may be made.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// A signature file, as it was read.
#[derive(Debug)]
pub struct SignatureFile {
    /// Its name without the folder.
    pub name: String,
    /// Its form.
    pub format: SignatureFormat,
    /// Its bytes, or why there are none, as a clause.
    pub content: Result<Vec<u8>, String>,
}

/// A statement and the signatures beside it, as they were read; nothing is checked yet.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The bytes of the statement, if there is one.
    pub statement: Option<Vec<u8>>,
    /// The signature files, sorted by name.
    pub signatures: Vec<SignatureFile>,
    /// Whether there are more signature files than are read.
    pub more: bool,
}

/// What came of the verification of one statement.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrustVerdict {
    /// The statement, if it could be read.
    pub statement: Option<Statement>,
    /// The names of the distinct signers that count, sorted.
    pub signers: Vec<String>,
    /// How many are required.
    pub require: usize,
    /// Everything that was found, errors and warnings.
    pub findings: Vec<TrustFinding>,
}

impl TrustVerdict {
    /// Whether nothing stands against the statement.
    pub fn is_accepted(&self) -> bool {
        self.refusal().is_none()
    }

    /// Why the statement is refused: the token of the finding that a person should look at first.
    pub fn refusal(&self) -> Option<Code> {
        const ORDER: [Code; 6] = [
            Code::TrustUnsigned,
            Code::TrustStatement,
            Code::TrustSignature,
            Code::TrustSigner,
            Code::TrustExpired,
            Code::TrustOlder,
        ];
        let too_few = self.signers.len() < self.require;
        let counts = |code: Code| match code {
            // One bad signature takes nothing away from the others.
            Code::TrustSignature | Code::TrustSigner => too_few,
            _ => true,
        };
        let codes: Vec<Code> =
            self.findings.iter().filter_map(TrustFinding::code).filter(|code| counts(*code)).collect();
        ORDER.into_iter().find(|code| codes.contains(code))
    }
}

impl TrustFile {
    /// Judges `evidence` for the bundle at hand at the time `now`. Everything that can be found is found.
    pub fn verify(&self, evidence: &Evidence, bundle: &BundleAtHand, now: Timestamp) -> TrustVerdict {
        let mut verdict =
            TrustVerdict { statement: None, signers: Vec::new(), require: self.require(), findings: Vec::new() };
        let Some(bytes) = &evidence.statement else {
            verdict.findings.push(TrustFinding::NoStatement);
            return verdict;
        };
        match Statement::parse(bytes) {
            Ok(statement) => {
                self.check_statement(&statement, bundle, now, &mut verdict.findings);
                verdict.statement = Some(statement);
            }
            Err(error) => verdict.findings.push(TrustFinding::Statement { error }),
        }
        let stream = verdict.statement.as_ref().and_then(|statement| statement.stream.clone());
        self.check_signatures(evidence, bytes, (stream.as_deref(), now), &mut verdict);
        verdict
    }

    /// Judges the signatures of `evidence` over its `statement`, which is any file here: who vouches for it, at the time `now`.
    /// `stream` is the one that the file belongs to.
    pub fn verify_file(&self, evidence: &Evidence, stream: Option<&str>, now: Timestamp) -> TrustVerdict {
        let mut verdict =
            TrustVerdict { statement: None, signers: Vec::new(), require: self.require(), findings: Vec::new() };
        let Some(bytes) = &evidence.statement else {
            verdict.findings.push(TrustFinding::NoSignature);
            return verdict;
        };
        self.check_signatures(evidence, bytes, (stream, now), &mut verdict);
        verdict
    }

    fn check_signatures(
        &self,
        evidence: &Evidence,
        bytes: &[u8],
        (stream, now): (Option<&str>, Timestamp),
        verdict: &mut TrustVerdict,
    ) {
        if evidence.signatures.is_empty() {
            verdict.findings.push(TrustFinding::NoSignature);
            return;
        }
        if evidence.more {
            verdict.findings.push(TrustFinding::MoreSignatures { limit: MAX_SIGNATURES });
        }
        let mut counted = BTreeSet::new();
        for file in &evidence.signatures {
            self.check_file(file, bytes, (stream, now), &mut counted, &mut verdict.findings);
        }
        verdict.signers = counted.into_iter().map(str::to_owned).collect();
        if verdict.signers.len() < self.require() {
            verdict.findings.push(TrustFinding::TooFew { require: self.require(), signers: verdict.signers.clone() });
        }
    }

    fn check_statement(
        &self,
        statement: &Statement,
        bundle: &BundleAtHand,
        now: Timestamp,
        findings: &mut Vec<TrustFinding>,
    ) {
        if !bundle.is(&statement.bundle) {
            findings.push(TrustFinding::OtherBundle { stated: statement.bundle.clone(), found: bundle.clone() });
        }
        if let Some(at) = statement.expires.filter(|at| *at < now) {
            findings.push(TrustFinding::Expired { at });
        }
        let age = statement.age(now);
        if let Some(max) = self.max_age().filter(|max| age > *max) {
            findings.push(TrustFinding::TooOld { age, max, enforced: self.enforce() });
        }
        if age < -CLOCK_SKEW {
            findings.push(TrustFinding::FromTheFuture { created: statement.created, enforced: self.enforce() });
        }
    }

    /// Counts the signers of one file. A signature counts for one signer, the first of the trust file that it is of.
    fn check_file<'a>(
        &'a self,
        file: &SignatureFile,
        bytes: &[u8],
        (stream, now): (Option<&str>, Timestamp),
        counted: &mut BTreeSet<&'a str>,
        findings: &mut Vec<TrustFinding>,
    ) {
        let name = || file.name.clone();
        let content = match &file.content {
            Ok(content) => content,
            Err(error) => return findings.push(TrustFinding::Unreadable { file: name(), reason: error.clone() }),
        };
        let signatures = match Signature::parse(file.format, content) {
            Ok(signatures) => signatures,
            Err(error) => return findings.push(TrustFinding::Signature { file: name(), signer: None, error }),
        };
        for signature in signatures {
            match self.find(&signature, bytes, now) {
                SignatureMatch::Nobody => {
                    findings.push(TrustFinding::Stranger { file: name(), claim: signature.claim() });
                }
                SignatureMatch::Wrong(signer, error) => {
                    let signer = Some(signer.to_owned());
                    findings.push(TrustFinding::Signature { file: name(), signer, error });
                }
                SignatureMatch::Signer(at) => {
                    let signer = &self.signers()[at];
                    if signer.may_sign(stream) {
                        counted.insert(signer.name());
                    } else {
                        let (signer, stream) = (signer.name().to_owned(), stream.map(str::to_owned));
                        findings.push(TrustFinding::Stream { file: name(), signer, stream });
                    }
                }
            }
        }
    }

    fn find(&self, signature: &Signature, bytes: &[u8], now: Timestamp) -> SignatureMatch<'_> {
        let mut wrong = None;
        for (at, signer) in self.signers().iter().enumerate() {
            for credential in signer.credentials() {
                match signature.check(bytes, credential, now) {
                    Judgement::Valid => return SignatureMatch::Signer(at),
                    Judgement::Wrong(error) => wrong = wrong.or(Some((signer.name(), error))),
                    Judgement::Stranger => {}
                }
            }
        }
        wrong.map_or(SignatureMatch::Nobody, |(signer, error)| SignatureMatch::Wrong(signer, error))
    }
}

/// Whose a signature is.
enum SignatureMatch<'a> {
    Signer(usize),
    Wrong(&'a str, SignatureError),
    Nobody,
}

#[cfg(test)]
mod tests;
