//! The distribution API: a store, or bundles in place, as a registry (distribution-spec, main branch).
//!
//! [`Server::bind`] with a [`Config`] and then [`Server::run`] is all there is to it. `route` says what a path means; the
//! handlers stand in `pull`, `push`, `publish` and `discover`; a `backend` is where pulled content comes from; `blob_read`
//! reads blobs; `listen` keeps connections within their limits.

mod answer;
mod auth;
mod backend;
mod blob_read;
mod body;
mod buffers;
mod bundles;
mod closure;
mod config;
mod connections;
mod discover;
mod dispatch;
mod error;
mod file;
mod frontend;
mod listen;
mod metrics;
pub mod mirror;
mod pace;
mod page;
mod passwords;
mod policy;
mod publish;
mod pull;
mod pull_remote;
mod push;
mod query;
mod quota;
#[doc(hidden)]
pub mod range;
mod remote_blob;
#[doc(hidden)]
pub mod route;
mod run;
mod scopes;
mod stale;
mod tls;
mod verify;

pub use config::{Changes, Config, ServeLimits};
pub use error::{DamagedBlob, ServerError};
pub use run::{ReloadHandle, Server};
pub use tls::Certificate;
