//! What the providers take from their surroundings.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    azure::{AzureIdentity, Credentials},
    error::Result,
    renewal::Renew,
    sas::Sas,
};
use crate::files::{self, private};

/// How long one request is tried again where nothing else is said.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a read may bring next to nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// The variable with which Google's own clients are sent to an emulator, which does not ask for a credential.
pub(super) const GOOGLE_EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// Surroundings of the providers. It prints without secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Signs Azure addresses that have no SAS of their own (`AZURE_STORAGE_SAS_TOKEN`).
    pub sas: Option<Sas>,
    /// Where `sas` is fetched again when it is about to end, or was refused.
    pub renew: Option<Arc<dyn Renew>>,
    /// PEM files of certificates that servers are trusted by, beside those of the system.
    pub ca_certs: Vec<PathBuf>,
    /// Who to be towards Azure without a SAS.
    pub identity: AzureIdentity,
    /// The tokens that Azure gave, for all who have these settings or a copy of them.
    pub credentials: Credentials,
    /// Where the journals of unfinished uploads are: of all that S3 has parts of, and of those that were begun here at Google.
    /// Uploads to those fail without it, as there is no fallback to a shared folder.
    pub state: Option<PathBuf>,
    /// Variables of the S3 and Google clients, such as `AWS_ENDPOINT_URL` and `GOOGLE_APPLICATION_CREDENTIALS`.
    pub variables: Vec<(String, String)>,
    /// Whether S3 is to keep the SHA-256 of what is uploaded, by which [`Upload::attest`](super::Upload::attest) proves it.
    pub attest: bool,
    /// How long one request is tried again before it counts as failed.
    pub patience: Duration,
    /// How long a read may bring next to nothing before it is broken off and resumed by another request.
    pub silence: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sas: None,
            renew: None,
            ca_certs: Vec::new(),
            identity: AzureIdentity::Found,
            credentials: Credentials::default(),
            state: None,
            variables: Vec::new(),
            attest: false,
            patience: PATIENCE,
            silence: SILENCE,
        }
    }
}

impl Settings {
    /// From the environment of the process.
    pub fn from_env() -> Self {
        Self {
            sas: env::var("AZURE_STORAGE_SAS_TOKEN").ok().as_deref().and_then(Sas::parse),
            identity: AzureIdentity::Found,
            state: private::state_folder().ok().map(|state| state.join("uploads")),
            variables: env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| {
                    ["AWS_", "GOOGLE_"].iter().any(|front| name.starts_with(front)) || name == GOOGLE_EMULATOR
                })
                .collect(),
            ..Self::default()
        }
    }

    /// The folder of the journals.
    ///
    /// # Errors
    /// Neither `XDG_STATE_HOME` nor `HOME` said where it is.
    pub(crate) fn state(&self) -> Result<&Path> {
        Ok(self.state.as_deref().ok_or(files::Error::NoHome)?)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("sas", &self.sas)
            .field("renew", &self.renew)
            .field("ca_certs", &self.ca_certs)
            .field("identity", &self.identity)
            .field("credentials", &self.credentials)
            .field("state", &self.state)
            .field("variables", &names)
            .field("attest", &self.attest)
            .field("patience", &self.patience)
            .field("silence", &self.silence)
            .finish()
    }
}
