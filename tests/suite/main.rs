//! Everything that is tested from outside, one file a subject.

mod archives;
mod bad;
mod bundle;
mod cli;
mod copy;
mod docs;
mod errors;
mod foreign;
mod golden;
mod hostile;
mod inspect;
mod journey;
mod kill;
mod layers;
mod partial;
mod peers;
mod registry;
mod registry_hostile;
mod serve;
mod serve_bundles;
mod serve_peers;
mod storage;
mod storage_read;
mod support;
mod verify;
