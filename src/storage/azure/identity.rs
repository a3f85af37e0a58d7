//! Who a run is towards Azure.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use azure_core::credentials::TokenCredential;

/// Who to be towards Azure where an address has no SAS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AzureIdentity {
    /// What is found first: a workload identity, a managed identity (`AZURE_CLIENT_ID` names a user-assigned one), the Azure
    /// CLI; or what `AZURE_TOKEN_CREDENTIALS` names.
    #[default]
    Found,
    /// A managed identity; the client id or the resource id (`/subscriptions/…`) of a user-assigned one, or the system's.
    Managed(Option<String>),
}

/// The credentials of a run, one for each identity: a run that opens many objects asks for a token once.
#[derive(Clone, Default)]
pub struct Credentials(Arc<Mutex<Vec<Kept>>>);

type Kept = (AzureIdentity, Arc<dyn TokenCredential>);

impl Credentials {
    /// The credential of `identity`, which `make` makes at the first call.
    pub(super) fn of<E>(
        &self,
        identity: &AzureIdentity,
        make: impl FnOnce() -> Result<Arc<dyn TokenCredential>, E>,
    ) -> Result<Arc<dyn TokenCredential>, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, credential)) = kept.iter().find(|(of, _)| of == identity) {
            return Ok(Arc::clone(credential));
        }
        let credential = make()?;
        kept.push((identity.clone(), Arc::clone(&credential)));
        Ok(credential)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
