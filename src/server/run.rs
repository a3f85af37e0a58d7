//! A server from its start to its end.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;

use super::{
    auth::Door,
    config::{Config, ServeLimits},
    error::ServerError,
    frontend::Frontend,
    listen, stale,
    tls::Tls,
    verify,
};
use crate::content::names;

/// What `text` (`HOST:PORT`) names.
async fn addresses(text: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    let found = names::lookup(host).await.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    registry: Arc<Frontend>,
    limits: ServeLimits,
}

impl Server {
    /// Listens on `address`, an address or a name of this machine with a port; port 0 takes a free one, see
    /// [`Server::local_addr`].
    pub async fn bind(config: Config, address: impl AsRef<str>) -> Result<Self, ServerError> {
        let address = address.as_ref();
        let failed = |source| ServerError::Bind { address: address.to_owned(), source };
        let addresses = addresses(address).await.map_err(failed)?;
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let limits = config.limits;
        let verify = config.verify;
        let registry = Arc::new(Frontend::new(config)?);
        if verify {
            verify::all(&registry).await?;
        }
        Ok(Self { listener, local, registry, limits })
    }

    /// Where people and clients reach it.
    pub fn url(&self) -> String {
        format!("{}://{}", self.registry.scheme(), self.local)
    }

    /// What the operator should know: which of two equal names is served, who can get in.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.registry.bundles.notes().to_vec();
        let strangers = self.registry.door.as_ref().map(Door::strangers).unwrap_or_default();
        if !strangers.is_empty() {
            notes.push(format!("the policy names users that have no password: {}", strangers.join(", ")));
        }
        if !self.local.ip().is_loopback() {
            let open =
                [(self.registry.door.is_none(), "without passwords"), (self.registry.tls.is_none(), "without TLS")];
            let open: Vec<_> = open.iter().filter(|(open, _)| *open).map(|(_, how)| *how).collect();
            if !open.is_empty() {
                notes.push(format!("{} can be reached from other machines {}", self.local, open.join(" and ")));
            }
        }
        notes
    }

    /// The handle by which certificates and passwords are read again while the server runs.
    pub fn credentials(&self) -> ReloadHandle {
        ReloadHandle(Arc::clone(&self.registry))
    }

    /// The address it listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Answers until `until` completes, and then until the requests under way are answered (or [`ServeLimits::grace`] is over).
    pub async fn run(self, until: impl Future<Output = ()> + Send) {
        let store = self.registry.store.clone();
        let sweep = store.map(|store| tokio::spawn(stale::sweep(store, Arc::clone(&self.registry.quota), self.limits)));
        listen::serve(self.listener, self.registry, self.limits, until).await;
        if let Some(sweep) = sweep {
            sweep.abort();
        }
    }
}

/// The certificate and the passwords of a running server.
#[derive(Clone, Debug)]
pub struct ReloadHandle(Arc<Frontend>);

impl ReloadHandle {
    /// Reads the files again. Connections that are open stay open; a file that cannot be used changes nothing.
    pub fn reload(&self) -> Result<(), ServerError> {
        self.0.tls.as_ref().map_or(Ok(()), Tls::reload)?;
        self.0.door.as_ref().map_or(Ok(()), Door::reload)
    }
}
