//! Who we are towards Azure where an address has no SAS.

use std::{collections::HashMap, env, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error, Result as SdkResult,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::ClientOptions,
    time::OffsetDateTime,
};
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::{
    super::{error::Error as StorageError, settings::Settings},
    identity::AzureIdentity,
    metadata::Metadata,
    transport::{self, Signing},
};

/// How long a machine without the metadata service may keep us waiting; where it exists it answers at once.
const METADATA: Duration = Duration::from_secs(5);

/// A token that ends sooner is not given out again; the SDK wants another one then too.
const MARGIN: Duration = Duration::from_mins(5);

/// Where tokens come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CredentialKind {
    Workload,
    Managed,
    Cli,
}

impl CredentialKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Workload => "workload identity",
            Self::Managed => "managed identity",
            Self::Cli => "Azure CLI",
        }
    }
}

/// A credential, or why it cannot be used here.
type Link = SdkResult<Arc<dyn TokenCredential>>;

/// Credentials that are tried in order; the first that gives a token is kept.
pub(super) struct Chain {
    /// Or what is wrong with the variable that names them.
    links: Result<Vec<(CredentialKind, Link)>, String>,
    state: tokio::sync::Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    chosen: Option<Arc<dyn TokenCredential>>,
    /// By what they are for. The Azure CLI keeps none, and takes a second for each.
    tokens: HashMap<String, AccessToken>,
}

impl Chain {
    /// The credential of `settings.identity`. No request is made yet.
    ///
    /// # Errors
    /// Those of making an HTTP client.
    pub(super) fn new(settings: &Settings, options: &ClientOptions, what: &str) -> Result<Self, StorageError> {
        let named = env::var("AZURE_TOKEN_CREDENTIALS").unwrap_or_default();
        let links = match kinds(&settings.identity, &named, env::var_os("AZURE_FEDERATED_TOKEN_FILE").is_some()) {
            Ok(kinds) => Ok(kinds
                .into_iter()
                .map(|kind| Ok((kind, link(kind, settings, options, what)?)))
                .collect::<Result<_, StorageError>>()?),
            Err(reason) => Err(reason),
        };
        Ok(Self { links, state: tokio::sync::Mutex::default() })
    }

    async fn choose(&self, scopes: &[&str]) -> SdkResult<(Arc<dyn TokenCredential>, AccessToken)> {
        let failed = |reason: String| Error::with_message(ErrorKind::Credential, reason.replace('\n', " "));
        let links = self.links.as_ref().map_err(|reason| failed(reason.clone()))?;
        let mut reasons = Vec::new();
        for (kind, link) in links {
            let word = kind.word();
            let link = match link {
                Ok(link) => link,
                Err(error) => {
                    reasons.push(format!("{word}: {error}"));
                    continue;
                }
            };
            let asked = link.get_token(scopes, None);
            let asked = if *kind == CredentialKind::Managed {
                tokio::time::timeout(METADATA, asked).await
            } else {
                Ok(asked.await)
            };
            match asked {
                Ok(Ok(token)) => return Ok((Arc::clone(link), token)),
                Ok(Err(error)) => reasons.push(format!("{word}: {error}")),
                Err(_) => reasons.push(format!("{word}: this machine has no metadata service")),
            }
        }
        Err(failed(reasons.join("; ")))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> SdkResult<AccessToken> {
        let scope = scopes.join(" ");
        // Held while a token is asked for: who comes meanwhile wants the same one.
        let mut state = self.state.lock().await;
        if let Some(token) =
            state.tokens.get(&scope).filter(|token| token.expires_on > OffsetDateTime::now_utc() + MARGIN)
        {
            return Ok(token.clone());
        }
        let token = if let Some(chosen) = &state.chosen {
            chosen.get_token(scopes, options).await?
        } else {
            let (chosen, token) = self.choose(scopes).await?;
            state.chosen = Some(chosen);
            token
        };
        state.tokens.insert(scope, token.clone());
        Ok(token)
    }
}

/// What is tried, in this order. `named` is the variable that Azure's SDKs in all languages read.
fn kinds(identity: &AzureIdentity, named: &str, federated: bool) -> Result<Vec<CredentialKind>, String> {
    if let AzureIdentity::Managed(_) = identity {
        return Ok(vec![CredentialKind::Managed]);
    }
    let deployed =
        if federated { vec![CredentialKind::Workload, CredentialKind::Managed] } else { vec![CredentialKind::Managed] };
    Ok(match named.trim().to_ascii_lowercase().as_str() {
        "" => [deployed, vec![CredentialKind::Cli]].concat(),
        "prod" => deployed,
        "dev" | "azureclicredential" => vec![CredentialKind::Cli],
        "workloadidentitycredential" => vec![CredentialKind::Workload],
        "managedidentitycredential" => vec![CredentialKind::Managed],
        _ => {
            return Err(format!(
                "AZURE_TOKEN_CREDENTIALS is {named:?}, which is none of dev, prod, WorkloadIdentityCredential, \
                 ManagedIdentityCredential and AzureCliCredential"
            ));
        }
    })
}

fn link(kind: CredentialKind, settings: &Settings, options: &ClientOptions, what: &str) -> Result<Link, StorageError> {
    Ok(match kind {
        CredentialKind::Workload => workload(options),
        CredentialKind::Managed => managed(settings, what)?,
        CredentialKind::Cli => AzureCliCredential::new(None).map(|link| link as Arc<dyn TokenCredential>),
    })
}

fn workload(options: &ClientOptions) -> Link {
    let mut with = WorkloadIdentityCredentialOptions::default();
    with.credential_options.client_options = options.clone();
    Ok(WorkloadIdentityCredential::new(Some(with))?)
}

fn managed(settings: &Settings, what: &str) -> Result<Link, StorageError> {
    let id = match &settings.identity {
        AzureIdentity::Managed(id) => id.clone(),
        AzureIdentity::Found => env::var("AZURE_CLIENT_ID").ok().filter(|id| !id.is_empty()),
    };
    let at_app_service = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"].iter().all(|name| env::var_os(name).is_some());
    // Azure's own commands name an identity by its resource id, its metadata service by the client id too.
    let (user_assigned_id, resource) = match id {
        Some(id) if id.starts_with('/') && at_app_service => (None, Some(id)),
        Some(id) if id.starts_with('/') => (Some(UserAssignedId::ResourceId(id)), None),
        id => (id.map(UserAssignedId::ClientId), None),
    };
    let client = Metadata { inner: Arc::new(Signing::direct(settings, what)?), resource };
    let client_options = transport::options(Arc::new(client), settings);
    let with = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    Ok(ManagedIdentityCredential::new(Some(with)).map(|link| link as Arc<dyn TokenCredential>))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_a_token_follows_the_surroundings_and_the_variable() {
        let found = |named: &str, federated| kinds(&AzureIdentity::Found, named, federated).unwrap();
        assert_eq!(found("", false), [CredentialKind::Managed, CredentialKind::Cli]);
        assert_eq!(found("", true), [CredentialKind::Workload, CredentialKind::Managed, CredentialKind::Cli]);
        assert_eq!(found("prod", true), [CredentialKind::Workload, CredentialKind::Managed]);
        assert_eq!(found("Prod", false), [CredentialKind::Managed]);
        assert_eq!(found("dev", true), [CredentialKind::Cli]);
        assert_eq!(found("WorkloadIdentityCredential", false), [CredentialKind::Workload]);
        assert_eq!(found("ManagedIdentityCredential", true), [CredentialKind::Managed]);
        assert_eq!(found(" azureclicredential ", true), [CredentialKind::Cli]);
        assert!(
            kinds(&AzureIdentity::Found, "EnvironmentCredential", true).unwrap_err().contains("EnvironmentCredential")
        );
        let pipelines = AzureIdentity::Managed(Some("id".to_owned()));
        assert_eq!(kinds(&pipelines, "dev", true).unwrap(), [CredentialKind::Managed], "what a pipeline says counts");
    }
}
