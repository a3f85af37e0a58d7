//! A repository: the host of a registry and a path on it.

use std::fmt;

/// Where artifacts of one name live: `docker.io/library/alpine`. Parsing is that of a reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The parts of a reference that was parsed.
    pub(super) fn of(registry: &str, path: &str) -> Self {
        Self { registry: registry.to_owned(), path: path.to_owned() }
    }

    /// The host, with its port if any: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path below the host: `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}
