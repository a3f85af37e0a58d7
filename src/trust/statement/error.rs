//! Why a statement is refused.

use crate::content::{Code, Fault};

/// Why bytes are not a statement, or members do not make one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is larger than a statement may be.
    #[error("the statement has {size} bytes, and the limit is 1048576")]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
    /// It is not JSON, or not of these members.
    #[error("the statement cannot be read")]
    Malformed {
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("the statement has version {found}, and this airlift reads version 1")]
    Version {
        /// The version it has.
        found: u64,
    },
    /// The same members are written by other bytes.
    #[error("the statement is not canonical JSON (docs/statement-format.md)")]
    NotCanonical,
    /// A text for people is empty, too long, or has characters that do not belong in it.
    #[error(
        "{member} must be 1 to 1024 bytes of text without control characters and characters that turn its direction"
    )]
    Text {
        /// The member.
        member: &'static str,
    },
    /// A stream's name is malformed.
    #[error("stream {found:?} is not 1 to 128 letters, digits, '.', '_', '-' in parts with '/' between them")]
    Stream {
        /// The name.
        found: String,
    },
    /// One of stream and sequence is there without the other.
    #[error("stream and sequence are given together or not at all")]
    StreamWithoutSequence,
    /// The sequence is out of range.
    #[error("sequence {found} is not between 1 and 9007199254740991")]
    Sequence {
        /// The sequence.
        found: u64,
    },
    /// A time has parts of a second, or lies before 1970.
    #[error("{member} is not a time in whole seconds since 1970")]
    Time {
        /// The member.
        member: &'static str,
    },
    /// It expires before it is made.
    #[error("expires is not later than created")]
    ExpiresFirst,
    /// A digest is of another algorithm than SHA-256.
    #[error("{member} is not a SHA-256 digest")]
    Algorithm {
        /// The member.
        member: &'static str,
    },
    /// The bases are unsorted, doubled, or too many.
    #[error("base is not a sorted list of at most 256 digests, each once")]
    Base,
    /// The volumes are unsorted, have gaps, are too many, have bad names, or do not add up to the size of the bundle.
    #[error("volumes: {rule}")]
    Volumes {
        /// The rule that is broken.
        rule: &'static str,
    },
}

impl Fault for StatementError {
    fn code(&self) -> Code {
        Code::TrustStatement
    }
}
