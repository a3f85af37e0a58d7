//! What can go wrong on the way to a secret. Nothing here ever holds anything of its value.

use std::{io, time::Duration};

use jiff::Timestamp;

use crate::{
    content::{Code, Fault},
    storage::{self, error::Cause},
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a secret could not be had. `what` is always a reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not a reference. It is not repeated, for it may be the secret itself.
    #[error("this is not a reference to a secret: {reason}")]
    Reference {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such secret, variable or file.
    #[error("the secret {what} is not there: {detail}")]
    NotFound {
        /// Which one.
        what: String,
        /// What is missing.
        detail: &'static str,
    },
    /// The vault refuses.
    #[error("the vault refuses {what}: {reason}")]
    Refused {
        /// Which one.
        what: String,
        /// In the vault's words.
        reason: String,
    },
    /// The secret is disabled.
    #[error("the secret {what} is disabled")]
    Disabled {
        /// Which one.
        what: String,
    },
    /// The secret has an end, which has passed.
    #[error("the secret {what} has expired at {at}")]
    Expired {
        /// Which one.
        what: String,
        /// When it did.
        at: Timestamp,
    },
    /// The secret has a beginning, which is still to come.
    #[error("the secret {what} is not valid before {at}")]
    Early {
        /// Which one.
        what: String,
        /// When it will be.
        at: Timestamp,
    },
    /// No identity could be found, or none that the vault's tenant gives a token to.
    #[error("there is no identity with which to ask for {what}: {reason}")]
    Credential {
        /// Which one.
        what: String,
        /// What was tried.
        reason: String,
    },
    /// The vault cannot be reached.
    #[error("the vault of {what} cannot be reached")]
    Unreachable {
        /// Which one.
        what: String,
        /// Why.
        source: Cause,
    },
    /// An answer of the vault that is neither yes nor no.
    #[error("the vault of {what} answered {reason}")]
    Vault {
        /// Which one.
        what: String,
        /// What it said.
        reason: String,
    },
    /// Setting up the client failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Others than its owner and its group may read the file, or change it.
    #[error("{what} is open to others than its owner and its group (mode {mode:o})")]
    Exposed {
        /// Which one.
        what: String,
        /// Its permissions.
        mode: u32,
    },
    /// The file is a folder, a device or the like, or the value is too large or no text.
    #[error("{what} is not a secret: {reason}")]
    Unfit {
        /// Which one.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file cannot be read, or the command not be started.
    #[error("{what} cannot be read")]
    Io {
        /// Which one.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The command did not end well. What it said is not shown, for it may have the secret in it.
    #[error("{what} ended with {status}")]
    Command {
        /// Which one.
        what: String,
        /// Its exit code or signal.
        status: String,
    },
    /// The command took too long and was stopped.
    #[error("{what} did not end within {} seconds", patience.as_secs())]
    Slow {
        /// Which one.
        what: String,
        /// How long it was given.
        patience: Duration,
    },
    /// The value is no shared access signature.
    #[error("{what} holds no shared access signature: it has no sv=…&sig=…")]
    NoSignature {
        /// Which one.
        what: String,
    },
}

impl Error {
    /// With its causes, for a log.
    pub(super) fn told(&self) -> Cause {
        let mut text = self.to_string();
        if let Some(cause) = std::error::Error::source(self) {
            text = format!("{text}: {cause}");
        }
        text.into()
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Reference { .. } => Code::SecretReference,
            Self::NotFound { .. } => Code::SecretNotFound,
            Self::Refused { .. } => Code::SecretRefused,
            Self::Disabled { .. } => Code::SecretDisabled,
            Self::Expired { .. } | Self::Early { .. } => Code::SecretExpired,
            Self::Credential { .. } => Code::SecretCredential,
            Self::Unreachable { .. } => Code::SecretUnreachable,
            Self::Vault { .. } => Code::SecretVault,
            Self::Storage(error) => error.code(),
            Self::Exposed { .. } => Code::SecretExposed,
            Self::Unfit { .. } | Self::NoSignature { .. } => Code::SecretForm,
            Self::Io { .. } => Code::IoRead,
            Self::Command { .. } | Self::Slow { .. } => Code::SecretCommand,
        }
    }
}
