//! The distribution API: a store, or bundles in place, as a registry (distribution-spec, main branch).
//!
//! [`Server::bind`] with a [`Config`] and then [`Server::run`] is all there is to it. `route` says what a path means; the
//! handlers stand in `pull`, `push`, `publish` and `discover`; a `shelf` is where pulled content comes from; `sending` reads
//! blobs; `listen` keeps connections within their limits.

mod answer;
mod auth;
mod body;
mod buffers;
mod bundles;
mod closure;
mod discover;
mod dispatch;
mod far;
mod file;
mod listen;
mod metrics;
pub mod mirror;
mod pace;
mod page;
mod publish;
mod pull;
mod push;
mod query;
pub mod range;
pub mod route;
mod sending;
mod shelf;
mod stale;
mod tls;
mod verify;

use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::{TcpListener, ToSocketAddrs};

pub use tls::Certificate;
pub use verify::Damage;

use answer::Failure;
use auth::Door;
use buffers::Buffers;
use bundles::Bundles;
use file::Checked;
use metrics::Metrics;
use shelf::Shelves;
use tls::Tls;

use crate::{
    bundle::Reader,
    content::{Code, Fault},
    oci::manifest,
    store::Store,
};

/// The body of a request.
type Incoming = hyper::body::Incoming;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate, a key or a file of passwords cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Credentials {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The bundles were verified before the start, and are damaged.
    #[error("{}", verify::told(damage))]
    Damaged {
        /// What is damaged; never nothing.
        damage: Vec<Damage>,
    },
}

impl Fault for ServerError {
    fn code(&self) -> Code {
        match self {
            Self::Bind { .. } => Code::ServeListen,
            Self::Credentials { .. } => Code::UsageFile,
            Self::Damaged { .. } => Code::BundleDigestMismatch,
        }
    }
}

/// What clients may change. Without a store there is nothing that they could.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changes {
    /// They push and delete.
    #[default]
    All,
    /// They push; what is there stays.
    Pushes,
    /// Nothing.
    None,
}

/// What is served, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where pushes go and pulls come from.
    pub store: Option<Store>,
    /// Read in place; below the store, if there is one, and later ones above earlier ones.
    pub bundles: Vec<Reader>,
    /// Read every blob of the bundles and compare its digest before the first answer.
    pub verify: bool,
    /// What clients may change.
    pub changes: Changes,
    /// Take manifests that name content which is not there.
    pub sparse: bool,
    /// Bytes of the largest manifest that is taken.
    pub manifest_limit: u64,
    /// Speak TLS only, with this certificate.
    pub tls: Option<Certificate>,
    /// Let in only who is in this file (`htpasswd -B`).
    pub htpasswd: Option<PathBuf>,
    /// What a client may use up.
    pub limits: Limits,
}

/// Bounds that keep one client from starving the others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a connection may be without a complete request head, also between two requests.
    pub idle: Duration,
    /// How long a body may stand still, or crawl below 1 KiB a second, in either direction.
    pub stall: Duration,
    /// How long requests under way may take when the server is told to stop.
    pub grace: Duration,
    /// How long an upload may rest before what was received of it is deleted.
    pub upload: Duration,
    /// How often it is looked for such uploads; once at the start, too.
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            idle: Duration::from_mins(1),
            stall: Duration::from_mins(1),
            grace: Duration::from_secs(30),
            upload: Duration::from_hours(24),
            sweep: Duration::from_hours(1),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: None,
            bundles: Vec::new(),
            verify: false,
            changes: Changes::All,
            sparse: false,
            manifest_limit: manifest::DEFAULT_LIMIT,
            tls: None,
            htpasswd: None,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Everything that the bundles have, and nothing else.
    pub fn bundles(bundles: Vec<Reader>) -> Self {
        Self { bundles, ..Self::default() }
    }

    /// Everything that `store` has, and pushes into it.
    pub fn store(store: Store) -> Self {
        Self { store: Some(store), ..Self::default() }
    }
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    registry: Arc<Registry>,
    limits: Limits,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one, see [`Server::local_addr`].
    pub async fn bind(config: Config, address: impl ToSocketAddrs + ToString) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Bind { address: address.to_string(), source };
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let limits = config.limits;
        let verify = config.verify;
        let registry = Arc::new(Registry::new(config)?);
        if verify {
            verify::all(&registry).await?;
        }
        Ok(Self { listener, local, registry, limits })
    }

    /// Where people and clients reach it.
    pub fn url(&self) -> String {
        format!("{}://{}", self.registry.scheme(), self.local)
    }

    /// What whoever started the server should know: which of two equal names is served, who can get in.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.registry.bundles.notes().to_vec();
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
    pub fn credentials(&self) -> Credentials {
        Credentials(Arc::clone(&self.registry))
    }

    /// The address it listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Answers until `until` completes, and then until the requests under way are answered (or [`Limits::grace`] is over).
    pub async fn run(self, until: impl Future<Output = ()> + Send) {
        let store = self.registry.store.clone();
        let sweep = store.map(|store| tokio::spawn(stale::sweep(store, self.limits)));
        listen::serve(self.listener, self.registry, self.limits, until).await;
        if let Some(sweep) = sweep {
            sweep.abort();
        }
    }
}

/// The certificate and the passwords of a running server.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Registry>);

impl Credentials {
    /// Reads the files again. Connections that are open stay open; a file that cannot be used changes nothing.
    pub fn reload(&self) -> Result<(), ServerError> {
        self.0.tls.as_ref().map_or(Ok(()), Tls::reload)?;
        self.0.door.as_ref().map_or(Ok(()), Door::reload)
    }
}

/// What all requests share.
#[derive(Debug)]
struct Registry {
    store: Option<Store>,
    shelves: Shelves,
    bundles: Arc<Bundles>,
    changes: Changes,
    sparse: bool,
    manifest_limit: u64,
    tls: Option<Tls>,
    door: Option<Door>,
    metrics: Arc<Metrics>,
    checked: Arc<Checked>,
    buffers: Buffers,
}

impl Registry {
    fn new(config: Config) -> Result<Self, ServerError> {
        let mut shelves: Vec<Arc<dyn shelf::Shelf>> = Vec::new();
        if let Some(store) = &config.store {
            shelves.push(Arc::new(store.clone()));
        }
        let bundles = Arc::new(Bundles::new(config.bundles));
        if !bundles.is_empty() {
            shelves.push(Arc::clone(&bundles) as _);
        }
        Ok(Self {
            store: config.store,
            shelves: Shelves(shelves),
            bundles,
            changes: config.changes,
            sparse: config.sparse,
            manifest_limit: config.manifest_limit,
            tls: config.tls.map(Tls::new).transpose()?,
            door: config.htpasswd.as_deref().map(Door::new).transpose()?,
            metrics: Arc::default(),
            checked: Arc::default(),
            buffers: Buffers::default(),
        })
    }

    const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Where pushes go, if they are allowed.
    fn writable(&self) -> Result<&Store, Failure> {
        let store = self.store.as_ref().filter(|_| self.changes != Changes::None);
        store.ok_or_else(|| Failure::not_allowed("this registry is read-only"))
    }

    /// Where deletes go, if they are allowed.
    fn deletable(&self) -> Result<&Store, Failure> {
        let store = self.writable()?;
        if self.changes == Changes::All {
            return Ok(store);
        }
        Err(Failure::not_allowed("deleting is switched off in this registry"))
    }

    /// What was not in the store cannot be deleted if a bundle below it has it.
    #[expect(clippy::unused_self, reason = "reads as a question to the registry, as its neighbours do")]
    fn kept_below(&self, known: bool) -> Result<(), Failure> {
        if known { Err(Failure::not_allowed("this is in a bundle that is served, and stays")) } else { Ok(()) }
    }
}
