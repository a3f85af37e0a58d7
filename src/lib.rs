//! airlift carries container images and every other OCI artifact across an air gap.
//!
//! The crate is a house of rows, and a room knows only the rows below it (`tests/suite/layers.rs` holds the table):
//!
//! | row | rooms | what for |
//! |---|---|---|
//! | 4 | [`pipeline`] | export pipelines, import pipelines and their runs, kept on one machine |
//! | 3 | [`transfer`], [`server`] | the engines: export, copy, verify, import; the distribution API |
//! | 2+ | [`recovery`] | files rebuilt from Reed–Solomon blocks |
//! | 2 | [`registry`], [`bundle`], [`storage`], [`store`] | places where content lives |
//! | 2 | [`trust`] | who vouches for a bundle: statements, signatures, the trust file |
//! | 1 | [`content`], [`progress`] | the seam: what a place offers, what a run tells |
//! | 0 | [`oci`] | digests, references, descriptors, manifests |
//!
//! The command line (`src/bin/airlift`) sees only what is public here.

pub mod bundle;
pub mod content;
pub mod oci;
pub mod pipeline;
pub mod progress;
pub mod recovery;
pub mod registry;
pub mod server;
pub mod storage;
pub mod store;
pub mod transfer;
pub mod trust;
