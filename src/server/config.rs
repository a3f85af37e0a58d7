//! What is served, and how.

use std::{path::PathBuf, time::Duration};

use super::tls::Certificate;
use crate::{bundle::Reader, oci::manifest, store::Store};

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
#[non_exhaustive]
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
    /// Let in only users of this file (`htpasswd -B`).
    pub htpasswd: Option<PathBuf>,
    /// What each user, and a client that has not logged in, may do.
    pub policy: Option<PathBuf>,
    /// Tags are made, and never moved or deleted; nothing that a tag may name is deleted either.
    pub immutable_tags: bool,
    /// The address that clients reach the server by, where that is a proxy's: `https://HOST[:PORT]`.
    pub public_url: Option<String>,
    /// What a client may use up.
    pub limits: ServeLimits,
}

/// Bounds that keep one client from starving the others.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServeLimits {
    /// Connections at once. For a further one the one leaves that has had nothing under way the longest; where something is
    /// under way on all of them, it waits.
    pub connections: usize,
    /// Connections of one address. Behind a proxy all clients have one.
    pub share: usize,
    /// How long a connection may take to its first request.
    pub head: Duration,
    /// How long a connection may be without a complete request head, also between two requests.
    pub idle: Duration,
    /// How long a body may stand still, or crawl below 1 KiB a second, in either direction.
    pub stall: Duration,
    /// How long requests under way may take when the server is stopped.
    pub grace: Duration,
    /// How long an upload may rest before what was received of it is deleted.
    pub upload: Duration,
    /// Unfinished uploads at once of one client (a user, or an address), of one repository, and of all.
    pub uploads: [usize; 3],
    /// Bytes of unfinished uploads of one client, and of all.
    pub unfinished: [u64; 2],
    /// Bytes of the largest blob that is taken.
    pub max_upload: u64,
    /// Bytes of manifests that are received at once.
    pub manifests: usize,
    /// How often it is looked for such uploads; once at the start, too.
    pub sweep: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            share: 512,
            head: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            stall: Duration::from_mins(1),
            grace: Duration::from_secs(30),
            upload: Duration::from_hours(24),
            uploads: [256, 512, 4096],
            unfinished: [64 << 30, 256 << 30],
            max_upload: u64::MAX,
            manifests: 64 << 20,
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
            policy: None,
            immutable_tags: false,
            public_url: None,
            limits: ServeLimits::default(),
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
