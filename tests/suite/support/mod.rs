//! What the integration tests stand on: real peers, started on loopback and ended with the test that owns them.
//!
//! A test says what it needs (`needs!("docker-registry", "skopeo")`), starts it, and lets it go out of scope.
#![allow(dead_code, unused_imports, reason = "a library for the tests: what one verb does not use, another does")]
#![allow(clippy::print_stderr, reason = "what a peer said belongs to the failed test's output")]

pub(crate) mod airlift;
pub(crate) mod artifacts;
pub(crate) mod azurite;
pub(crate) mod compare;
pub(crate) mod containerd;
pub(crate) mod docker;
pub(crate) mod faults;
pub(crate) mod files;
pub(crate) mod forward;
pub(crate) mod google;
pub(crate) mod helm;
pub(crate) mod hostile;
pub(crate) mod http;
pub(crate) mod identity;
pub(crate) mod kills;
pub(crate) mod lent;
pub(crate) mod lowkey;
pub(crate) mod moto;
pub(crate) mod name_server;
pub(crate) mod oras;
pub(crate) mod original;
pub(crate) mod packed;
pub(crate) mod peers;
pub(crate) mod podman;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod real_image;
pub(crate) mod registry;
pub(crate) mod serving;
pub(crate) mod skopeo;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tmpfs;
pub(crate) mod umoci;
pub(crate) mod vault;

pub(crate) use airlift::Airlift;
pub(crate) use containerd::Containerd;
pub(crate) use docker::Docker;
pub(crate) use helm::Helm;
pub(crate) use oras::Oras;
pub(crate) use original::Original;
pub(crate) use peers::needs;
pub(crate) use podman::Podman;
pub(crate) use process::Ran;
pub(crate) use proxy::Proxy;
pub(crate) use registry::{Options, Registry};
pub(crate) use serving::Serving;
pub(crate) use skopeo::Skopeo;
pub(crate) use terminal::Terminal;
pub(crate) use tmpfs::Tmpfs;

/// `value` after `change`: settings of the library have no other way, since they may get further fields.
pub(crate) fn with<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}
