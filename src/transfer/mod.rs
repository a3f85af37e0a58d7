//! The engines: plan what moves, move it, prove it, tell of it.
//!
//! What each run does is data before it is done ([`export::plan`], [`import::plan`]). Everything that moves bytes goes
//! through `execute`, whatever the two places are.

mod complete;
pub mod copy;
pub mod copy_set;
mod crowd;
mod documents;
pub mod error;
mod execute;
pub mod export;
mod far;
pub mod import;
pub mod inspect;
mod items;
pub mod list;
pub mod opened;
pub mod outline;
pub mod plan;
pub mod protect;
pub mod relay;
pub mod report;
pub mod resolve;
mod rewrite;
mod send;
pub mod sets;
pub mod target;
pub mod verify;
pub mod vouch;

pub use error::{Cause, Error, Failure, Side};
pub use opened::Opened;
pub use report::{Outcome, Report, State};
