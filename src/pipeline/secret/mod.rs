//! Secrets by reference: where one lies is written down, what it says never is.
//!
//! A [`SecretReference`] is fit for state files and logs. [`fetch`] gets the value each time it is needed, [`Secret`] holds it in
//! memory only and does not print it, and [`Renewal`] gets it once more while a transfer is under way.

mod command;
mod error;
mod local;
mod vault;

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use error::{Error, Result};
pub use vault::Address;

use crate::storage::{Renew, Sas, Settings, error::Cause};

/// Bytes of a secret at most: Key Vault's own limit is 25 KiB.
const LIMIT: u64 = 64 << 10;

/// How long a command may take to print a secret.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a secret is. As text: a Key Vault address, `env:NAME`, `file:PATH` or `exec:COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum SecretReference {
    /// `https://VAULT.vault.azure.net/secrets/NAME[/VERSION]`.
    Vault(Address),
    /// `env:NAME`: a variable of the environment.
    Variable(String),
    /// `file:PATH`: a file that only its owner and its group may read.
    File(PathBuf),
    /// `exec:COMMAND`: what a command of the shell prints.
    Command(String),
}

impl SecretReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// [`Error::Reference`]; a text that is a secret itself is not repeated in it.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |reason| Err(Error::Reference { reason });
        let named = |rest: &str| !rest.trim().is_empty();
        if text.starts_with("https://") || text.starts_with("http://") {
            return Address::parse(text).map(Self::Vault);
        }
        match text.split_once(':') {
            Some(("env", name)) if named(name) && !name.contains(['=', '\0']) => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if named(path) => Ok(Self::File(path.into())),
            Some(("exec", command)) if named(command) => Ok(Self::Command(command.to_owned())),
            Some(("env" | "file" | "exec", _)) => fail("what follows the colon is missing, or is not a name"),
            _ => fail("it begins with none of https://, env:, file: and exec:"),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(address) => write!(f, "{address}"),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(command) => write!(f, "exec:{command}"),
        }
    }
}

impl FromStr for SecretReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SecretReference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<SecretReference> for String {
    fn from(reference: SecretReference) -> Self {
        reference.to_string()
    }
}

/// A value that does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    origin: SecretReference,
    value: String,
}

impl Secret {
    /// Takes the value, without the line end that files and commands put behind it.
    fn new(origin: &SecretReference, value: &str) -> Result<Self> {
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            return Err(Error::NotFound { what: origin.to_string(), detail: "it is empty" });
        }
        Ok(Self { origin: origin.clone(), value: value.to_owned() })
    }

    /// The value, to hand on to what it opens.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The value as a shared access signature, with or without the `?` in front; the whole address of a container with its
    /// signature is taken too.
    ///
    /// # Errors
    /// [`Error::NoSignature`].
    pub fn sas(&self) -> Result<Sas> {
        let query = match self.value.split_once("://") {
            Some((_, rest)) => rest.split_once('?').map_or("", |(_, query)| query),
            None => &self.value,
        };
        Sas::parse(query).ok_or_else(|| Error::NoSignature { what: self.origin.to_string() })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.origin)
    }
}

/// Gets the value. `settings` says who we are towards a vault, and which authorities its server is trusted by.
///
/// # Errors
/// See [`Error`]; none of them holds anything of the value.
pub async fn fetch(reference: &SecretReference, settings: &Settings) -> Result<Secret> {
    let value = match reference {
        SecretReference::Vault(address) => vault::fetch(address, settings).await?,
        SecretReference::Variable(name) => local::variable(name, reference)?,
        SecretReference::File(path) => local::file(path.clone(), reference).await?,
        SecretReference::Command(command) => command::output(command, reference, PATIENCE).await?,
    };
    tracing::debug!(%reference, "the secret was fetched");
    Secret::new(reference, &value)
}

/// Gets a signature again where it came from ([`Settings::renew`]).
#[derive(Clone, Debug)]
pub struct Renewal {
    reference: SecretReference,
    settings: Settings,
}

impl Renewal {
    /// Of the secret at `reference`.
    pub const fn new(reference: SecretReference, settings: Settings) -> Self {
        Self { reference, settings }
    }
}

#[async_trait]
impl Renew for Renewal {
    async fn renew(&self) -> Result<Sas, Cause> {
        let secret = fetch(&self.reference, &self.settings).await.map_err(|error| error.told())?;
        Ok(secret.sas()?)
    }
}

/// `settings` with the signature that the secret at `reference` holds, which is fetched now, and again when it is about to
/// end or was refused.
///
/// # Errors
/// Those of [`fetch`], and [`Error::NoSignature`].
pub async fn signed(settings: &Settings, reference: &SecretReference) -> Result<Settings> {
    let sas = fetch(reference, settings).await?.sas()?;
    let renewal = Renewal::new(reference.clone(), settings.clone());
    Ok(Settings { sas: Some(sas), renew: Some(std::sync::Arc::new(renewal)), ..settings.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    const CANARY: &str = "sv=2024-11-04&sp=rl&sig=CANARY";

    #[test]
    fn references_are_read_and_written_back() {
        for text in [
            "https://vault.vault.azure.net/secrets/name",
            "https://vault.vault.usgovcloudapi.net/secrets/name/0123456789abcdef0123456789abcdef",
            "https://127.0.0.1:8443/secrets/name",
            "env:AIRLIFT_SAS",
            "file:/etc/airlift/sas",
            "exec:pass show airlift | head -1",
        ] {
            let reference = SecretReference::parse(text).unwrap();
            assert_eq!(reference.to_string(), text);
            let json = serde_json::to_string(&reference).unwrap();
            assert_eq!(serde_json::from_str::<SecretReference>(&json).unwrap(), reference);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_and_not_repeated() {
        let by_url = format!("https://account.blob.core.windows.net/box?{CANARY}");
        let in_vault = format!("https://vault.vault.azure.net/secrets/name?{CANARY}");
        for text in ["", "plain", "env:", "env:A=CANARY", "file: ", "exec:", CANARY, &by_url, &in_vault] {
            let error = SecretReference::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::SecretReference, "{text}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn a_signature_is_found_in_each_form_in_which_people_keep_it() {
        let origin = SecretReference::Variable("X".to_owned());
        for value in [
            CANARY.to_owned(),
            format!("?{CANARY}\n"),
            format!("https://account.blob.core.windows.net/box?{CANARY}\r\n"),
        ] {
            let secret = Secret::new(&origin, &value).unwrap();
            assert_eq!(secret.sas().unwrap().query(), CANARY);
            assert!(!format!("{secret:?}").contains("CANARY"));
        }
        let error = Secret::new(&origin, "a password").unwrap().sas().unwrap_err();
        assert_eq!(error.code(), Code::SecretForm);
        assert_eq!(Secret::new(&origin, "\n").unwrap_err().code(), Code::SecretNotFound);
    }
}
