//! Who we are towards Azure where an address has no SAS.

use std::{env, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error, Result,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::ClientOptions,
};
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use tokio::sync::OnceCell;

use super::super::settings::Identity;

/// How long a machine without the metadata service may keep us waiting; where it exists it answers at once.
const METADATA: Duration = Duration::from_secs(5);

/// Credentials that are tried in order; the first that gives a token is kept.
#[derive(Debug)]
pub(super) struct Chain {
    links: Vec<(&'static str, Result<Arc<dyn TokenCredential>>)>,
    chosen: OnceCell<Arc<dyn TokenCredential>>,
}

impl Chain {
    pub(super) fn new(identity: &Identity, options: &ClientOptions) -> Arc<Self> {
        let mut links = Vec::new();
        if *identity == Identity::Found && env::var_os("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            links.push(("workload identity", workload(options)));
        }
        let client = match identity {
            Identity::Managed(Some(client)) => Some(client.clone()),
            _ => None,
        };
        links.push(("managed identity", managed(client, options)));
        if *identity == Identity::Found {
            links.push(("Azure CLI", AzureCliCredential::new(None).map(|link| link as Arc<dyn TokenCredential>)));
        }
        Arc::new(Self { links, chosen: OnceCell::new() })
    }

    async fn choose(&self, scopes: &[&str]) -> Result<Arc<dyn TokenCredential>> {
        let mut reasons = Vec::new();
        for (name, link) in &self.links {
            let link = match link {
                Ok(link) => link,
                Err(error) => {
                    reasons.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let asked = link.get_token(scopes, None);
            let asked =
                if *name == "managed identity" { tokio::time::timeout(METADATA, asked).await } else { Ok(asked.await) };
            match asked {
                Ok(Ok(_)) => return Ok(Arc::clone(link)),
                Ok(Err(error)) => reasons.push(format!("{name}: {error}")),
                Err(_) => reasons.push(format!("{name}: this machine has no metadata service")),
            }
        }
        Err(Error::with_message(ErrorKind::Credential, reasons.join("; ").replace('\n', " ")))
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> Result<AccessToken> {
        self.chosen.get_or_try_init(|| self.choose(scopes)).await?.get_token(scopes, options).await
    }
}

fn workload(options: &ClientOptions) -> Result<Arc<dyn TokenCredential>> {
    let mut with = WorkloadIdentityCredentialOptions::default();
    with.credential_options.client_options = options.clone();
    Ok(WorkloadIdentityCredential::new(Some(with))?)
}

fn managed(client: Option<String>, options: &ClientOptions) -> Result<Arc<dyn TokenCredential>> {
    // Azure's own commands name an identity by its resource id, its metadata service by the client id too.
    let user_assigned_id = client
        .map(|id| if id.starts_with('/') { UserAssignedId::ResourceId(id) } else { UserAssignedId::ClientId(id) });
    let with = ManagedIdentityCredentialOptions { user_assigned_id, client_options: options.clone() };
    Ok(ManagedIdentityCredential::new(Some(with))?)
}
