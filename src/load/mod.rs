//! Images of bundles in the container runtimes of this machine, under their own names and without a registry.
//!
//! containerd takes images in by itself and keeps names and digests. docker and podman keep digests only of what they pull, so they pull from
//! the bundle, which is served on loopback for as long as that takes, and name what they have pulled.

mod containerd;
mod engine;
mod error;
mod folder;
mod images;
mod pulled;

pub use engine::{Loaded, LoadedImage, run};
pub use error::Error;
pub use images::{LoadTarget, Request, node_platform};
