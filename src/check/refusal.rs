//! What a command has refused.

use std::fmt;

use super::command::CheckCommand;
use crate::oci::{PeerText, Reference};

/// An artifact that a command refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedArtifact {
    /// The artifact.
    pub artifact: Reference,
    /// The command, as it was given.
    pub command: CheckCommand,
    /// How it ended, as the end of a sentence.
    pub ended: String,
    /// Its last lines, which are its own words.
    pub lines: Vec<String>,
}

impl fmt::Display for RefusedArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.artifact, self.command, self.ended)?;
        match self.lines.split_first() {
            None => Ok(()),
            Some((first, rest)) => {
                write!(f, ": {}", PeerText(first))?;
                rest.iter().try_for_each(|line| write!(f, "; {}", PeerText(line)))
            }
        }
    }
}
