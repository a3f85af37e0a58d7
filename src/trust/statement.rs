//! The statement: which bundle, in which stream, by whose authority (docs/statement-format.md).

mod check;
mod error;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::oci::Digest;

pub use error::StatementError;

/// The version that this code writes and reads.
pub const VERSION: u64 = 1;

/// Bytes of a statement.
const MAX_SIZE: usize = 1 << 20;

/// The highest sequence: what every reader of JSON keeps exactly.
pub const MAX_SEQUENCE: u64 = (1 << 53) - 1;

/// Which bundle is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleIdentity {
    /// The bundle id: the SHA-256 of `index.json`.
    pub id: Digest,
    /// The SHA-256 of `airlift.json`; of a set, the set id.
    pub seal: Digest,
    /// Bytes of the file, or of all volumes.
    pub size: u64,
}

/// The bundle at hand, with which a statement is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAtHand {
    /// The bundle id.
    pub id: Digest,
    /// The SHA-256 of `airlift.json`; of a set, the set id.
    pub seal: Digest,
    /// Bytes of the file, or of all volumes, where all of it is here.
    pub size: Option<u64>,
}

impl BundleAtHand {
    /// Whether `stated` is this bundle. Its id and seal fix every byte; the size is compared where it is known.
    pub fn is(&self, stated: &BundleIdentity) -> bool {
        (self.id, self.seal) == (stated.id, stated.seal) && self.size.is_none_or(|size| size == stated.size)
    }
}

/// One volume of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeIdentity {
    /// The plain name of its file.
    pub name: String,
    /// Its number in the set, from 1.
    pub number: u32,
    /// The SHA-256 of the file.
    #[serde(with = "hex")]
    pub sha256: Digest,
    /// Bytes of the file.
    pub size: u64,
}

/// Why the sender believes that the receiver has the base of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseProof {
    /// The receiver says so: by receipts, or its registry was asked.
    Proven,
    /// At least a part was only sent to it.
    Declared,
}

/// What the signers of a bundle vouch for. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Statement {
    /// Who allowed the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised_by: Option<String>,
    /// Ids of the bundles whose content a delta needs, as far as it names them, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<Digest>,
    /// Why the receiver has that content, of a delta whose export was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_proof: Option<BaseProof>,
    /// The bundle.
    pub bundle: BundleIdentity,
    /// When the statement was made, in whole seconds.
    pub created: Timestamp,
    /// After this time it is not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Where the bundle comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The protective marking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marking: Option<String>,
    /// What the transfer is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its place in the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The row of updates it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Where the bundle goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The version of the format.
    pub version: u64,
    /// The volumes of a set, by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeIdentity>,
}

/// The one member that must be readable in every version.
#[derive(Deserialize)]
struct AnyVersion {
    version: u64,
}

impl Statement {
    /// A statement of `bundle` made at `created`, whose part of a second is dropped.
    pub fn new(bundle: BundleIdentity, created: Timestamp) -> Self {
        Self {
            authorised_by: None,
            base: Vec::new(),
            base_proof: None,
            bundle,
            created: whole_seconds(created),
            expires: None,
            from: None,
            marking: None,
            reason: None,
            sequence: None,
            stream: None,
            to: None,
            version: VERSION,
            volumes: Vec::new(),
        }
    }

    /// Canonical JSON, the bytes that are signed.
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        serde_json::to_vec(self).map_err(|source| StatementError::Malformed { source })
    }

    /// Reads the bytes of a statement, which must be exactly those that [`Statement::to_json`] gives.
    pub fn parse(text: &[u8]) -> Result<Self, StatementError> {
        if text.len() > MAX_SIZE {
            return Err(StatementError::TooLarge { size: text.len() });
        }
        let malformed = |source| StatementError::Malformed { source };
        let AnyVersion { version } = serde_json::from_slice(text).map_err(malformed)?;
        if version != VERSION {
            return Err(StatementError::Version { found: version });
        }
        let statement: Self = serde_json::from_slice(text).map_err(malformed)?;
        if statement.to_json()? != text {
            return Err(StatementError::NotCanonical);
        }
        Ok(statement)
    }

    /// The stream and the place in it, if it has one.
    pub fn position(&self) -> Option<(&str, u64)> {
        Some((self.stream.as_deref()?, self.sequence?))
    }

    /// How old the statement is at `now`; negative if it was made later.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.created)
    }
}

/// The time without its part of a second.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A SHA-256 as 64 lower-case hex digits.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::oci::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        format!("sha256:{text}").parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
