//! Artifacts that are made here: of files and folders, of charts, of archives that `docker save` wrote. And the way back, from an artifact
//! to its files.
//!
//! The same content gives the same bytes: no times, no owners, and an order of its own. What is made is an origin like any other
//! (`content::Origins`); its blobs are read where they are when they move, never copied first.

mod body;
mod chart;
mod chart_metadata;
mod chart_repository;
mod charts;
mod error;
mod files;
mod folder;
mod go_text;
mod gzip;
mod made;
pub(crate) mod program;
mod saved;
mod stamp;
mod titles;
pub(crate) mod unpack;

pub use charts::chart_file;
pub use error::Error;
pub use made::{ImageRuntime, Packages};
pub use program::ProgramFailure;
