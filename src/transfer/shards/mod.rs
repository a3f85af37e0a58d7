//! Many machines: one plan, of which each writes its share, and a seal that makes a set of what all of them wrote
//! (docs/plan-format.md).

pub mod document;
pub mod error;
pub mod make;
pub mod mark;
pub mod seal;
pub mod shard;
pub mod worker;

pub use document::{PlanFile, PlannedList};
pub use error::Error;
pub use make::{MadePlan, make, open};
pub use mark::SetPlace;
pub use seal::{Sealed, seal};
pub use shard::{ParseShardError, Shard};
pub use worker::{Share, ShareReport, VolumeOutcome, VolumeState, export};
