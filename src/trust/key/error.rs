//! Why a key cannot be used.

use crate::{
    content::{Code, Fault},
    trust::file::FileError,
};

/// What is wrong with a key, or with its password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is none of the forms that are read here.
    #[error("this is not {expected}")]
    Form {
        /// What was expected.
        expected: &'static str,
    },
    /// It has the form, and its content is damaged.
    #[error("the key cannot be read: {reason}")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
    /// It is of an algorithm, or a size, that is not used here.
    #[error("keys of {found} are not used here; use {expected}")]
    Algorithm {
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// It is encrypted, and no password was given.
    #[error("the key is encrypted, and no password was given")]
    PasswordNeeded,
    /// The password does not open it.
    #[error("the password does not open the key")]
    WrongPassword,
    /// The cryptographic library refused to make a key or a signature.
    #[error("the cryptographic library failed")]
    Crypto,
    /// The SSH agent cannot be used.
    #[error("the SSH agent {reason}")]
    Agent {
        /// What it did, or did not do.
        reason: String,
    },
}

impl Fault for KeyError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Form { .. } | Self::Malformed { .. } | Self::Algorithm { .. } => Code::UsageFile,
            Self::PasswordNeeded | Self::WrongPassword => Code::KeyPassword,
            Self::Crypto => Code::Internal,
            Self::Agent { .. } => Code::KeyAgent,
        }
    }
}
