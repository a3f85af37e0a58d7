//! What verification of a statement can find.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::{
    content::Code,
    trust::{BundleAtHand, BundleIdentity, StatementError, signature::SignatureError},
};

/// One finding; [`TrustFinding::code`] tells errors from warnings.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrustFinding {
    /// There is no statement beside the bundle.
    NoStatement,
    /// There is a statement and no signature of it.
    NoSignature,
    /// There are more signature files than are read.
    MoreSignatures {
        /// How many are read.
        limit: usize,
    },
    /// The statement cannot be read.
    Statement {
        /// Why.
        error: StatementError,
    },
    /// The statement is of another bundle.
    OtherBundle {
        /// The bundle that it names.
        stated: BundleIdentity,
        /// The bundle at hand.
        found: BundleAtHand,
    },
    /// A signature file cannot be read.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A signature is not good.
    Signature {
        /// Its file.
        file: String,
        /// The trusted signer that it claims to be of, if that can be said.
        signer: Option<String>,
        /// What is wrong.
        error: SignatureError,
    },
    /// A signature is of nobody in the trust file.
    Stranger {
        /// Its file.
        file: String,
        /// Who it says made it.
        claim: String,
    },
    /// A signer signed a statement of a stream that is not theirs.
    Stream {
        /// The signature's file.
        file: String,
        /// Who.
        signer: String,
        /// The stream, if the statement has one.
        stream: Option<String>,
    },
    /// Fewer distinct signers than required.
    TooFew {
        /// How many are required.
        require: usize,
        /// Those that count.
        signers: Vec<String>,
    },
    /// The statement has expired.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The statement is older than the trust file allows.
    TooOld {
        /// Its age.
        age: SignedDuration,
        /// The age allowed.
        max: SignedDuration,
        /// Whether that is an error.
        enforced: bool,
    },
    /// The statement was made later than now.
    FromTheFuture {
        /// When.
        created: Timestamp,
        /// Whether that is an error.
        enforced: bool,
    },
    /// A higher sequence of the stream was imported before.
    Older {
        /// The stream.
        stream: String,
        /// The sequence of the statement.
        sequence: u64,
        /// The highest that was imported.
        mark: u64,
    },
    /// The same sequence of the stream was imported before, of another bundle.
    SameSequence {
        /// The stream.
        stream: String,
        /// The sequence of both.
        sequence: u64,
    },
}

impl TrustFinding {
    /// The token, or none for a warning.
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::NoStatement | Self::NoSignature => Some(Code::TrustUnsigned),
            Self::Statement { .. } | Self::OtherBundle { .. } => Some(Code::TrustStatement),
            // A certificate that cannot be used says nothing against the signature.
            Self::Signature { error: SignatureError::Certificate { .. }, .. }
            | Self::Stranger { .. }
            | Self::Stream { .. }
            | Self::TooFew { .. } => Some(Code::TrustSigner),
            Self::Signature { .. } | Self::Unreadable { .. } => Some(Code::TrustSignature),
            Self::Expired { .. } => Some(Code::TrustExpired),
            Self::TooOld { enforced, .. } | Self::FromTheFuture { enforced, .. } => {
                if *enforced {
                    Some(Code::TrustExpired)
                } else {
                    None
                }
            }
            Self::Older { .. } | Self::SameSequence { .. } => Some(Code::TrustOlder),
            Self::MoreSignatures { .. } => None,
        }
    }
}

impl fmt::Display for TrustFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStatement => f.write_str("there is no statement beside the bundle"),
            Self::NoSignature => f.write_str("the statement has no signature"),
            Self::MoreSignatures { limit } => write!(f, "only the first {limit} signature files were read"),
            Self::Statement { error } => {
                write!(f, "{error}")?;
                let mut cause = std::error::Error::source(error);
                while let Some(next) = cause {
                    write!(f, ": {next}")?;
                    cause = next.source();
                }
                Ok(())
            }
            Self::OtherBundle { stated, found } if stated.id != found.id => {
                write!(f, "the statement is of the bundle {}, and this is {}", stated.id, found.id)
            }
            Self::OtherBundle { stated, found } => write!(
                f,
                "the statement is of a bundle with the seal {} and {} bytes, and this has {}{}",
                stated.seal,
                stated.size,
                found.seal,
                found.size.map(|size| format!(" and {size} bytes")).unwrap_or_default()
            ),
            Self::Unreadable { file, reason } => write!(f, "{file}: {reason}"),
            Self::Signature { file, signer: Some(signer), error } => write!(f, "{file}, of {signer}: {error}"),
            Self::Signature { file, signer: None, error } => write!(f, "{file}: {error}"),
            Self::Stranger { file, claim } => write!(f, "{file} is of nobody in the trust file: {claim}"),
            Self::Stream { file, signer, stream: Some(stream) } => {
                write!(f, "{file}: {signer} may not sign for the stream {stream}")
            }
            Self::Stream { file, signer, stream: None } => {
                write!(f, "{file}: {signer} may sign for some streams only, and the statement has none")
            }
            Self::TooFew { require, signers } if signers.is_empty() => {
                write!(f, "{require} signer(s) required, and no signature counts")
            }
            Self::TooFew { require, signers } => {
                write!(f, "{require} signers required, and {} count(s): {}", signers.len(), signers.join(", "))
            }
            Self::Expired { at } => write!(f, "the statement expired at {at}"),
            Self::TooOld { age, max, .. } => {
                write!(f, "the statement is {} old, and max_age is {}", days(*age), days(*max))
            }
            Self::FromTheFuture { created, .. } => {
                write!(f, "the statement was created at {created}, which has not come yet by this machine's clock")
            }
            Self::Older { stream, sequence, mark } => {
                write!(f, "sequence {sequence} of the stream {stream} is older than {mark}, which was imported here")
            }
            Self::SameSequence { stream, sequence } => {
                write!(f, "another bundle with sequence {sequence} of the stream {stream} was imported here")
            }
        }
    }
}

/// An age for people: days, or below two days hours, or below two hours minutes.
fn days(age: SignedDuration) -> String {
    match age.as_hours() {
        ..2 => format!("{} min", age.as_mins()),
        2..48 => format!("{} h", age.as_hours()),
        hours => format!("{} d", hours / 24),
    }
}
