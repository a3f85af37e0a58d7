//! What is wrong with a trust file.

use crate::{
    content::{Code, Fault},
    trust::{file::FileError, key::KeyError},
};

/// Why a trust file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustFileError {
    /// It cannot be read.
    #[error("the trust file cannot be read")]
    File(#[from] FileError),
    /// It is not TOML of these members.
    #[error("the trust file is malformed: {source}")]
    Syntax {
        /// Where, and what was expected.
        source: toml::de::Error,
    },
    /// It has no signer, or too many.
    #[error("the trust file has {count} signers; it needs 1 to 1000 [[signer]] tables")]
    Signers {
        /// How many.
        count: usize,
    },
    /// It requires none, or more signers than it has.
    #[error("the trust file requires {require} signers and has {signers}")]
    Require {
        /// How many are required.
        require: usize,
        /// How many there are.
        signers: usize,
    },
    /// A signer has no usable name.
    #[error("{name:?} is not a signer's name: 1 to 128 bytes without control characters")]
    Name {
        /// The name.
        name: String,
    },
    /// Two signers have one name.
    #[error("two signers have the name {name:?}")]
    DoubleName {
        /// The name.
        name: String,
    },
    /// Two signers have one key, so that one person could count as two.
    #[error("the signers {first:?} and {second:?} have the same key")]
    SharedKey {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A signer has neither key nor authority.
    #[error("the signer {signer:?} has none of key, ssh, minisign, and ca with subject")]
    NoKey {
        /// Whose.
        signer: String,
    },
    /// Only one of `ca` and `subject` is there.
    #[error("the signer {signer:?} has one of ca and subject without the other")]
    AuthorityWithoutSubject {
        /// Whose.
        signer: String,
    },
    /// A key or an authority cannot be used.
    #[error("{member} of the signer {signer:?}: {source}")]
    Key {
        /// Whose.
        signer: String,
        /// Which member.
        member: &'static str,
        /// Why not.
        source: KeyError,
    },
    /// A pattern of streams is malformed.
    #[error("streams of the signer {signer:?}: {source}")]
    Streams {
        /// Whose.
        signer: String,
        /// Why.
        source: globset::Error,
    },
    /// The age is not a time.
    #[error("max_age {found:?} is not a number of s, m, h, d or w, such as \"30d\"")]
    MaxAge {
        /// What stands there.
        found: String,
    },
}

impl Fault for TrustFileError {
    fn code(&self) -> Code {
        Code::UsageFile
    }
}
