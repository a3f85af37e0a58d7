//! Local files: names of unfinished files, opening without following links, locks, renaming, durability and free space.
//!
//! Everything that writes a file on this machine does it by this room: a `partial::PartialFile` where the content comes
//! over time, `small::publish` where it is there at once.

mod abandon;
pub mod error;

pub(crate) mod blocking;
pub(crate) mod disk;
pub(crate) mod folder;
pub(crate) mod lock;
pub(crate) mod name;
pub(crate) mod open;
pub(crate) mod partial;
pub mod private;
pub(crate) mod rename;
pub mod small;

#[doc(hidden)]
pub use abandon::abandon;
pub use error::Error;
