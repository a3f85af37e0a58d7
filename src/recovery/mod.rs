//! Recovery data: Reed–Solomon blocks beside protected files, from which damaged or lost ones are rebuilt
//! (docs/recovery-format.md).
//!
//! What is protected is a list of files in a folder, whatever they are: one bundle, or the volumes of a set. [`create`]
//! writes recovery files beside them, [`ProtectedSet::find`] finds them again, [`ProtectedSet::assess`] finds what is damaged and whether
//! that can be rebuilt, [`Assessment::repair`] rebuilds it. Nothing here knows what a bundle is; a name in a head
//! is only ever a plain file name.
//!
//! Every call blocks; none may be made on the reactor.

mod assess;
mod code;
mod create;
mod draft;
pub mod error;
mod find;
pub mod head;
mod repair;
mod scan;
pub mod shape;
mod space;
mod table;

pub use assess::{Assessment, Damage, FileState};
pub use create::{Created, Request, create};
pub use error::{Error, Result};
pub use find::{BEGIN, ProtectedSet, protected};
pub use head::{Head, ProtectedFile};
pub use repair::{Rebuilt, Repaired};
pub use shape::{Percent, Shape};

/// What the names of recovery files end in.
pub const SUFFIX: &str = ".recovery";

#[cfg(test)]
mod tests;
