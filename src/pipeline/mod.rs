//! Pipelines: what binds a registry to a storage and to the secret that opens it, and what makes them run.

pub mod secret;
