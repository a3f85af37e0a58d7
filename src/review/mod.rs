//! A page about a bundle for a second pair of eyes: what comes in, from where, how large, what is attached to it, and what changes.
//!
//! The page is one file without scripts and without anything from elsewhere, and prints on A4.

mod gather;
mod html;

pub use gather::{Change, Review, ReviewedArtifact, ReviewedChanges};
pub use html::{escape, page};
