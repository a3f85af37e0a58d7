//! The engines: plan what moves, move it, prove it, tell of it.

pub mod inspect;
pub mod list;
