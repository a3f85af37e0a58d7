//! Deltas: bundles that leave out what the receiver has, and what proves that it has it.

pub mod base;
pub(super) mod confirm;
pub mod diff;
pub mod needs;
pub mod open;
pub mod review;
pub mod series;
