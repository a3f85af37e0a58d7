//! The engines: plan what moves, move it, prove it, tell of it.
//!
//! What each run does is data before it is done ([`export::plan`], [`import::plan`]). Everything that moves bytes goes
//! through `execute`, whatever the two places are.

#[doc(hidden)]
pub mod admission;
#[doc(hidden)]
pub mod base_at_target;
pub mod choice;
#[doc(hidden)]
pub mod companions;
mod complete;
pub mod copy;
#[doc(hidden)]
pub mod delta;
pub mod destination;
#[doc(hidden)]
pub mod discover;
#[doc(hidden)]
pub mod discs;
mod documents;
pub mod error;
mod execute;
pub mod export;
#[doc(hidden)]
pub mod export_packed;
#[doc(hidden)]
pub mod extract;
pub mod failure;
pub mod import;
pub mod inspect;
mod items;
#[doc(hidden)]
pub mod legs;
pub mod mirror;
mod named;
pub mod opened;
mod origin;
#[doc(hidden)]
pub mod outline;
#[doc(hidden)]
pub mod packing;
pub mod plan;
pub mod protect;
pub mod report;
pub mod resolve;
mod rewrite;
mod scheduler;
mod send;
#[doc(hidden)]
pub mod sets;
#[doc(hidden)]
pub mod shards;
#[doc(hidden)]
pub mod signing;
mod storage_stack;
mod supply;
pub mod verify;
#[doc(hidden)]
pub mod vouch;

pub use choice::Choice;
pub use error::Error;
pub use failure::{Cause, Failure, Side};
pub use opened::Opened;
pub use origin::Places;
pub use report::{ArtifactState, Outcome, Report};
