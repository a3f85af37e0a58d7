//! What the person decides about how registries are talked to.

use std::path::PathBuf;

use crate::{oci::manifest, progress::Progress};

use super::retry::Retry;

/// How registries are talked to. Build it from `Settings::default()`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Further certificate authorities (PEM), beside those of the system.
    pub ca_certs: Vec<PathBuf>,
    /// Our own certificate chain and private key (PEM), for registries that ask for one.
    pub client_identity: Option<(PathBuf, PathBuf)>,
    /// Take any certificate of the hosts that the person named; of no others.
    pub insecure: bool,
    /// Hosts (`host` or `host:port`) that are spoken to without TLS. Loopback hosts need not be named: they are tried.
    pub plain_http: Vec<String>,
    /// Hosts (`host` or `host:port`; the port does not matter) that may have private, loopback or link-local addresses
    /// though no reference names them: token endpoints, storage behind redirects, servers of foreign layers.
    pub named_hosts: Vec<String>,
    /// The only file of credentials; without it those of docker and podman are read.
    pub authfile: Option<PathBuf>,
    /// Patience.
    pub retry: Retry,
    /// The observer of retries.
    pub progress: Progress,
    /// Largest manifest, in bytes: 4 MiB, as the distribution-spec asks registries to accept; at most 20 MiB.
    pub max_manifest: u64,
    /// Pages of a list of tags or referrers that are read at most.
    pub max_pages: u32,
    /// Bytes of one chunk where an upload goes in chunks; the registry's own minimum wins.
    pub chunk: u64,
    /// Requests to one host at once, at the most; how many there are follows from its answers.
    pub requests: usize,
}

/// Most that [`Settings::max_manifest`] may be, in bytes.
const MAX_MANIFEST: u64 = 20 << 20;

impl Settings {
    /// The limit for manifests that is in force.
    pub(super) fn manifest_limit(&self) -> u64 {
        self.max_manifest.min(MAX_MANIFEST)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ca_certs: Vec::new(),
            client_identity: None,
            insecure: false,
            plain_http: Vec::new(),
            named_hosts: Vec::new(),
            authfile: None,
            retry: Retry::default(),
            progress: Progress::silent(),
            max_manifest: manifest::DEFAULT_LIMIT,
            // A thousand pages of a thousand tags; a list that is longer is an endless one.
            max_pages: 1000,
            // Large enough that a round trip a chunk does not count, below the body limits that proxies commonly have.
            chunk: 32 << 20,
            requests: 64,
        }
    }
}
