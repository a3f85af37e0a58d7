//! Secrets in Azure Key Vault, by the official SDK.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error as SdkError, Result as SdkResult,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions,
    models::{SecretAttributes, SecretClientGetSecretOptions},
};
use jiff::Timestamp;
use url::{Host, Url};

use super::error::{Error, Result};
use crate::storage::{self, Settings, error::redact};

/// Hosts under which Azure serves vaults, in its public and national clouds.
const VAULT_HOSTS: [&str; 4] =
    ["vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.microsoftazure.de"];

/// How long a vault is asked again where it does not answer: a run that cannot begin should say so soon.
const PATIENCE: Duration = Duration::from_secs(15);

/// Letters of a reason that are shown.
const REASON: usize = 300;

/// The address of a secret in a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    vault: Url,
    name: String,
    version: Option<String>,
}

impl Address {
    /// Reads `https://VAULT.vault.azure.net/secrets/NAME[/VERSION]`, with the suffix of any of Azure's clouds. A host of this
    /// machine is taken too: emulators live there.
    ///
    /// # Errors
    /// [`Error::Reference`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).map_err(|reason| Error::Reference { reason })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let mut url = Url::parse(text).map_err(|_| "it cannot be read as a URL")?;
        if url.scheme() != "https" {
            return Err("a vault is reached over https only");
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("the address of a secret has no user, no query and no fragment");
        }
        if !is_loopback(&url) && !is_azure(&url) {
            return Err("the host is not a vault of Azure: VAULT.vault.azure.net, or that of a national cloud");
        }
        let path = url.path().trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let (name, version) = match *parts.as_slice() {
            ["secrets", name] => (name, None),
            ["secrets", name, version] => (name, Some(version)),
            _ => return Err("the path is not /secrets/NAME or /secrets/NAME/VERSION"),
        };
        let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !word(name) || !version.is_none_or(word) {
            return Err("names and versions of secrets are letters, digits and dashes");
        }
        url.set_path("");
        Ok(Self { vault: url, name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}secrets/{}", self.vault, self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "/{version}"))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn is_azure(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    VAULT_HOSTS
        .iter()
        .any(|suffix| host.strip_suffix(suffix).is_some_and(|front| front.len() > 1 && front.ends_with('.')))
}

pub(super) async fn fetch(address: &Address, settings: &Settings) -> Result<String> {
    let what = address.to_string();
    let settings = Settings { patience: settings.patience.min(PATIENCE), ..settings.clone() };
    let (client_options, credential) = storage::entrance(&settings, &what)?;
    let options = SecretClientOptions {
        client_options,
        // An emulator names itself as the resource; what tokens may be asked for is limited by `Audience`.
        verify_challenge_resource: Some(!is_loopback(&address.vault)),
        ..SecretClientOptions::default()
    };
    let credential: Arc<dyn TokenCredential> = Arc::new(Audience(credential));
    let client =
        SecretClient::new(address.vault.as_str(), credential, Some(options)).map_err(|error| failed(&error, &what))?;
    let version = SecretClientGetSecretOptions { secret_version: address.version.clone(), ..Default::default() };
    let answer = client.get_secret(&address.name, Some(version)).await.map_err(|error| failed(&error, &what))?;
    let secret = answer.into_model().map_err(|error| failed(&error, &what))?;
    if let Some(attributes) = &secret.attributes {
        check(attributes, &what, Timestamp::now())?;
    }
    secret.value.ok_or(Error::NotFound { what, detail: "the vault gave no value" })
}

/// The vault returns secrets whose time is over or has not come, against the meaning of the dates.
fn check(attributes: &SecretAttributes, what: &str, now: Timestamp) -> Result<()> {
    let what = || what.to_owned();
    if attributes.enabled == Some(false) {
        return Err(Error::Disabled { what: what() });
    }
    let at = |moment: Option<azure_core::time::OffsetDateTime>| {
        moment.and_then(|moment| Timestamp::from_second(moment.unix_timestamp()).ok())
    };
    if let Some(at) = at(attributes.expires).filter(|&at| at <= now) {
        return Err(Error::Expired { what: what(), at });
    }
    if let Some(at) = at(attributes.not_before).filter(|&at| at > now) {
        return Err(Error::Early { what: what(), at });
    }
    Ok(())
}

fn failed(error: &SdkError, what: &str) -> Error {
    let what = what.to_owned();
    let said = || reason(&error.to_string());
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, raw_response } => {
            let body = raw_response.as_ref().map(|raw| String::from_utf8_lossy(raw.body().as_ref()).into_owned());
            // The emulator has no code for it, and answers 404.
            let disabled = "not allowed on a disabled";
            let body = body.unwrap_or_default();
            let disabled = body.contains("SecretDisabled") || body.contains(disabled) || said().contains(disabled);
            match (u16::from(*status), error_code.as_deref()) {
                (403 | 404, _) if disabled => Error::Disabled { what },
                (401 | 403, _) => Error::Refused { what, reason: said() },
                (404, _) => Error::NotFound { what, detail: "the vault has no such secret or version" },
                _ => Error::Vault { what, reason: said() },
            }
        }
        ErrorKind::Connection | ErrorKind::Io => Error::Unreachable { what, source: storage::error::cause(error) },
        ErrorKind::Credential => Error::Credential { what, reason: reason(&storage::error::cause(error).to_string()) },
        _ => Error::Vault { what, reason: reason(&storage::error::cause(error).to_string()) },
    }
}

/// The first line of what a peer said, cut, without secrets and control characters.
fn reason(said: &str) -> String {
    let line = redact(said.lines().next().unwrap_or_default());
    line.chars().filter(|c| !c.is_control()).take(REASON).collect()
}

/// Gives tokens for vaults only: a vault names in its challenge what the token is to be for, and must not get one for
/// anything else that our identity may do.
#[derive(Debug)]
struct Audience(Arc<dyn TokenCredential>);

#[async_trait]
impl TokenCredential for Audience {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> SdkResult<AccessToken> {
        if let Some(strange) = scopes.iter().find(|scope| !is_for_vaults(scope)) {
            let said = format!("the vault asks for a token for {strange}, which is not a vault");
            return Err(SdkError::with_message(ErrorKind::Credential, said));
        }
        self.0.get_token(scopes, options).await
    }
}

fn is_for_vaults(scope: &str) -> bool {
    let Ok(url) = Url::parse(scope) else { return false };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && (VAULT_HOSTS.contains(&host) || is_azure(&url) || is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use azure_core::time::{Duration, OffsetDateTime};

    use super::*;
    use crate::content::{Code, Fault};

    #[test]
    fn addresses_of_vaults_are_read_and_those_of_others_refused() {
        for good in [
            "https://v.vault.azure.net/secrets/n",
            "https://v.vault.azure.cn/secrets/n/0a",
            "https://v.vault.usgovcloudapi.net/secrets/n",
            "https://localhost:8443/secrets/n",
            "https://name.localhost:8443/secrets/n",
            "https://[::1]:8443/secrets/n",
        ] {
            assert_eq!(Address::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "http://v.vault.azure.net/secrets/n",
            "https://vault.azure.net/secrets/n",
            "https://v.vault.azure.net.evil.example/secrets/n",
            "https://evilvault.azure.net/secrets/n",
            "https://v.vault.azure.net/keys/n",
            "https://v.vault.azure.net/secrets/",
            "https://v.vault.azure.net/secrets/n/v/more",
            "https://v.vault.azure.net/secrets/..%2fn",
            "https://u:p@v.vault.azure.net/secrets/n",
            "https://169.254.169.254/secrets/n",
            "https://v.vault.azure.net/secrets/n?x=y",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_for_vaults_only() {
        for good in
            ["https://vault.azure.net/.default", "https://v.vault.azure.cn/.default", "https://localhost:1/.default"]
        {
            assert!(is_for_vaults(good), "{good}");
        }
        for bad in [
            "https://management.azure.com/.default",
            "https://vault.azure.net.evil.example/.default",
            "vault.azure.net",
        ] {
            assert!(!is_for_vaults(bad), "{bad}");
        }
    }

    #[test]
    fn dates_and_the_switch_of_a_secret_are_minded() {
        let now = OffsetDateTime::now_utc();
        let code =
            |attributes: &SecretAttributes| check(attributes, "x", Timestamp::now()).map_err(|error| error.code());
        let (before, after) = (Some(now - Duration::hours(1)), Some(now + Duration::hours(1)));
        let with =
            |enabled, expires, not_before| SecretAttributes { enabled, expires, not_before, ..Default::default() };
        assert_eq!(code(&with(Some(true), after, before)), Ok(()));
        assert_eq!(code(&with(None, None, None)), Ok(()));
        assert_eq!(code(&with(Some(false), None, None)), Err(Code::SecretDisabled));
        assert_eq!(code(&with(Some(true), before, None)), Err(Code::SecretExpired));
        assert_eq!(code(&with(Some(true), None, after)), Err(Code::SecretExpired));
    }
}
