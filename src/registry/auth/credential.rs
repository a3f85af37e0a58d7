//! What a registry knows somebody by, and why it cannot be had.

use std::{fmt, io, path::PathBuf};

use crate::content::{Code, Fault};

/// What a registry knows somebody by.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// User and password.
    Password {
        /// User.
        user: String,
        /// Secret, or a token that stands for one.
        password: String,
    },
    /// A token that only the token service takes, in exchange for others.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Credential(password)",
            Self::IdentityToken(_) => "Credential(identity token)",
        })
    }
}

/// Why stored credentials cannot be had or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("credentials in {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file, or the entry in it, is malformed.
    #[error("{} is not a file of credentials: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, without its content.
        reason: &'static str,
    },
    /// A credential helper failed.
    #[error("the credential helper {helper} failed: {reason}")]
    Helper {
        /// `docker-credential-…`.
        helper: String,
        /// How.
        reason: String,
    },
    /// A file cannot be written.
    #[error("credentials cannot be written to {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no home to keep a file in.
    #[error("there is no place for credentials: neither HOME nor DOCKER_CONFIG is set, and no file was named")]
    Nowhere,
    /// The look-up was stopped with the program.
    #[error("looking up credentials was interrupted")]
    Interrupted,
}

impl Fault for Error {
    fn code(&self) -> Code {
        Code::RegistryCredentials
    }
}
