//! Checks by other programs: each artifact of a bundle is held out to a command before it is let in.
//!
//! The bundle is served on loopback, read-only, on a port of its own, with signatures and everything else that is attached.
//! The command learns the artifact's address there. It is run by the shell, with the time that it may take, and without
//! airlift's own secrets. Whatever it exits with but 0 refuses the artifact.

mod admit;
mod command;
mod error;
mod export;
mod refusal;
mod run;

pub use admit::{Checked, admit, note};
pub use command::{CheckCommand, ParseCheckError};
pub use error::CheckError;
pub use export::export;
pub use refusal::RefusedArtifact;
pub use run::{CheckSettings, check};
