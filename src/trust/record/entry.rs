//! One line of the record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::{oci::Digest, trust::statement::whole_seconds};

/// The version that this code writes and reads.
const VERSION: u64 = 1;

/// Characters of a text in a line.
const MAX_TEXT: usize = 2048;

/// A leg of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Leg {
    /// A bundle was written.
    Export,
    /// A statement was signed.
    Sign,
    /// A bundle was copied.
    Copy,
    /// A bundle was imported.
    Import,
    /// A bundle was loaded into an engine.
    Load,
}

/// Which bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedBundle {
    /// The bundle id.
    pub id: Digest,
    /// The SHA-256 of `airlift.json`; of a set, the set id.
    pub seal: Digest,
}

/// One leg: what, from where, to where, when, by whom, with which result. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecordEntry {
    /// What was done.
    pub action: Leg,
    /// With which bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<RecordedBundle>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The number of the line, from 1.
    pub number: u64,
    /// The SHA-256 of the line before; of the first line, of nothing.
    pub previous: Digest,
    /// Why, in a person's words; of an older bundle, why it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What came of it: `done`, `partial`, or the token of the failure.
    pub result: String,
    /// The place in the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Who vouched for the bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// The stream of the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// When it ended.
    pub time: Timestamp,
    /// To where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The version of the format.
    pub version: u64,
    /// The account and the machine.
    pub who: String,
}

impl RecordEntry {
    /// A leg that ended at `time`; its number and the hash before it are set when it is appended.
    pub fn new(action: Leg, result: &str, who: &str, time: Timestamp) -> Self {
        Self {
            action,
            bundle: None,
            from: None,
            number: 0,
            previous: Digest::sha256(b""),
            reason: None,
            result: result.to_owned(),
            sequence: None,
            signers: Vec::new(),
            stream: None,
            time: whole_seconds(time),
            to: None,
            version: VERSION,
            who: who.to_owned(),
        }
    }

    /// The line without its line feed: canonical JSON. Texts are cut to 2048 characters.
    pub(super) fn seal(&mut self) -> Result<Vec<u8>, RecordError> {
        for text in [&mut self.from, &mut self.to, &mut self.reason].into_iter().flatten() {
            *text = text.chars().take(MAX_TEXT).collect();
        }
        serde_json::to_vec(self).map_err(|source| RecordError::Line { source })
    }

    /// Reads a line, which must be exactly what is written.
    pub(super) fn parse(line: &[u8]) -> Result<Self, RecordError> {
        let mut entry: Self = serde_json::from_slice(line).map_err(|source| RecordError::Line { source })?;
        if entry.version != VERSION || entry.seal()? != line {
            return Err(RecordError::NotCanonical);
        }
        Ok(entry)
    }
}
