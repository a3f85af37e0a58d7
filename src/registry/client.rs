//! What all repositories share.

use std::sync::Arc;

use super::{error::Error, repository::RemoteRepository, settings::Settings, transport::Transport};

/// A client of registries: connections, tokens and what was learnt of each registry. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Client(Arc<Transport>);

impl Client {
    /// A client by `settings`; reads the certificates that they name, and connects to nothing yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Transport::new(settings).map(|transport| Self(Arc::new(transport)))
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0
    }

    /// Whether `registry` takes user and password: asks it, and keeps nothing.
    ///
    /// [`super::credentials::store`] keeps them, once this was answered.
    pub async fn login(&self, registry: &str, user: &str, password: &str) -> Result<(), Error> {
        self.0.login(registry, user, password).await
    }

    /// `repository` on `registry` (`docker.io`, `localhost:5000`), as a reference names them.
    pub fn repository(&self, registry: &str, repository: &str) -> RemoteRepository {
        RemoteRepository::new(Arc::clone(&self.0), registry, repository)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}
