//! What can go wrong in a storage, with the permission or the setting that would help.

use std::{error::Error as StdError, io, path::PathBuf};

use jiff::Timestamp;

use super::sas::Permission;
use crate::{
    content::{Code, Fault, UnusableProxy, proxies},
    files,
};

/// `Result` of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause in another crate's words, freed of addresses and signatures.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why a storage did not do what it was asked. `what` is always an address without secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not a location.
    #[error("{text} is not a location: {reason}")]
    Location {
        /// What was given, without secrets.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such object, container or bucket.
    #[error("{what} is not there")]
    NotFound {
        /// Where it was looked for.
        what: String,
    },
    /// A create-only write found something there.
    #[error("{what} exists already")]
    Exists {
        /// What is there.
        what: String,
    },
    /// The object is no longer the one that was looked at first.
    #[error("{what} was replaced or removed while it was read")]
    Changed {
        /// Which object.
        what: String,
    },
    /// The SAS does not give a permission.
    #[error("{what}: the SAS lacks the permission {needs}{}", given(.gives.as_ref()))]
    Permission {
        /// What was to be done it to.
        what: String,
        /// What it would take.
        needs: Permission,
        /// What the SAS gives: its `sp`, if it has one.
        gives: Option<String>,
    },
    /// The SAS has expired.
    #[error("{what}: the SAS has expired at {at}")]
    Expired {
        /// What it was for.
        what: String,
        /// When it did.
        at: Timestamp,
    },
    /// The SAS is for HTTPS only.
    #[error("{what}: the SAS is for HTTPS only (spr=https), the address is plain HTTP")]
    HttpsOnly {
        /// What it was for.
        what: String,
    },
    /// 401 or 403 for another reason.
    #[error("{what}: access was refused: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// In the provider's words.
        reason: String,
    },
    /// No credential could be found, or none that gave a token.
    #[error("{what}: there is no credential: {reason}")]
    Credential {
        /// What it is needed for.
        what: String,
        /// What was tried.
        reason: String,
    },
    /// No connection.
    #[error("{what} cannot be reached")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// Why.
        source: Cause,
    },
    /// A proxy that the environment names cannot be used.
    #[error(transparent)]
    Proxy(#[from] UnusableProxy),
    /// Nothing came for too long, until the tries were used up.
    #[error("{what}: the storage stopped answering")]
    Stalled {
        /// What was asked for.
        what: String,
        /// The last failure.
        source: Cause,
    },
    /// 408, 429 or 5xx until the tries were used up.
    #[error("{what}: the storage answered {status}: {reason}")]
    Server {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// In the provider's words.
        reason: String,
    },
    /// An answer that makes no sense.
    #[error("{what}: {reason}")]
    Protocol {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The object would be larger than the provider takes.
    #[error("{what} would have {total} bytes, and the provider takes {limit} at most")]
    Limit {
        /// Which object.
        what: String,
        /// Bytes it would have.
        total: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// A local file has no room, or may not be written to; or there is no folder for the state.
    #[error(transparent)]
    File(files::Error),
    /// Another run writes the same object.
    #[error("{what} is being written by another run")]
    Busy {
        /// Which object.
        what: String,
    },
}

fn given(gives: Option<&String>) -> String {
    gives.map(|gives| format!("; it gives \"{gives}\"")).unwrap_or_default()
}

impl Error {
    /// Reading `path` failed.
    pub(crate) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File(files::Error::Read { path: path.into(), source })
    }

    /// Writing `path` failed.
    pub(crate) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File(files::Error::Write { path: path.into(), source })
    }

    /// Whether this says that the object is definitely absent, as against unknown.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the same call may succeed when it is made again.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stalled { .. } | Self::Server { .. })
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Location { .. } => Code::UsageLocation,
            Self::NotFound { .. } => Code::StorageNotFound,
            Self::Exists { .. } => Code::OutputExists,
            Self::Changed { .. } => Code::StorageChanged,
            Self::Permission { .. } => Code::StoragePermission,
            Self::Expired { .. } => Code::StorageExpired,
            Self::HttpsOnly { .. } => Code::StorageHttpsOnly,
            Self::Refused { .. } => Code::StorageRefused,
            Self::Credential { .. } => Code::StorageCredential,
            Self::Unreachable { .. } => Code::StorageUnreachable,
            Self::Proxy(error) => error.code(),
            Self::Stalled { .. } => Code::StorageStalled,
            Self::Server { .. } => Code::StorageServer,
            Self::Protocol { .. } => Code::StorageProtocol,
            Self::Limit { .. } => Code::StorageLimit,
            Self::File(error) => error.code(),
            Self::Busy { .. } => Code::OutputBusy,
        }
    }
}

impl From<files::Error> for Error {
    fn from(error: files::Error) -> Self {
        match error {
            files::Error::Exists { path } => Self::Exists { what: path.display().to_string() },
            files::Error::Busy { path } => Self::Busy { what: path.display().to_string() },
            other => Self::File(other),
        }
    }
}

/// `text` without the values of query parameters that are signatures, keys or tokens; nothing that another crate said
/// leaves this room without it.
pub(crate) fn redact(text: &str) -> String {
    const SECRETS: [&str; 7] = [
        "sig=",
        "X-Amz-Signature=",
        "X-Amz-Security-Token=",
        "X-Amz-Credential=",
        "X-Goog-Signature=",
        "sv=",
        "Bearer ",
    ];
    let mut clean = text.to_owned();
    for secret in SECRETS {
        let mut from = 0;
        while let Some(at) = clean[from..].find(secret) {
            let start = from + at + secret.len();
            let ends = |c: char| c == '&' || c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>' | '<' | ',');
            let end = clean[start..].find(ends).map_or(clean.len(), |length| start + length);
            clean.replace_range(start..end, "***");
            from = start + 3;
        }
    }
    clean
}

/// [`cause`] of a failure on the way to `url`, with the proxy that is on it.
pub(crate) fn cause_on_way(url: Option<&str>, error: &(dyn StdError + 'static)) -> Cause {
    match url.and_then(proxies::on_the_way_to) {
        Some(proxy) => format!("no connection{}: {}", proxies::told(Some(&proxy)), cause(error)).into(),
        None => cause(error),
    }
}

/// The whole chain of `error` as one cause without secrets.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> Cause {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        let said = below.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = below.source();
    }
    redact(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_foreign_words_are_blotted_out() {
        let said =
            "error for url (http://h/c/b?sv=2026&sp=r&sig=a%2Bb%3D): connect; Bearer ey.J0, X-Amz-Signature=00ff";
        let clean = redact(said);
        assert!(!["2026", "a%2Bb", "ey.J0", "00ff"].iter().any(|secret| clean.contains(secret)), "{clean}");
        assert!(clean.contains("sp=r") && clean.ends_with("X-Amz-Signature=***"), "{clean}");
    }
}
