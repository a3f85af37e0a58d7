//! A receipt: what a target confirmed after an import, repository by repository.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::oci::{Digest, Reference, Repository};

/// The version that this code writes and reads.
pub const VERSION: u64 = 1;

/// Bytes of the largest receipt: some hundred thousand blobs.
pub const LIMIT: u64 = 64 << 20;

/// Characters of the longest line of a receipt.
pub const LINE: usize = 299;

/// Characters of a target in that line; more are cut off.
const LINE_TARGET: usize = 80;

/// What its member `type` says.
const KIND: &str = "airlift-receipt";

/// How an artifact is in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Received {
    /// All of it is there, and this import moved some of it.
    Done,
    /// All of it was there before.
    AlreadyThere,
    /// The import failed.
    Failed,
    /// The import ended before it came to this artifact.
    NotReached,
    /// The import ended well, and the target does not have all of it any more.
    Unconfirmed,
}

impl Received {
    /// Whether all of the artifact was confirmed.
    pub const fn is_confirmed(self) -> bool {
        matches!(self, Self::Done | Self::AlreadyThere)
    }
}

/// An artifact of the import. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedArtifact {
    /// Bytes of its manifests, configs and layers, each once.
    pub bytes: u64,
    /// Its root manifest in the target.
    pub digest: Digest,
    /// Its name at the sender.
    pub reference: Reference,
    /// How it is in the target.
    pub result: Received,
    /// Its name in the target.
    pub target: Reference,
}

/// A bundle that was imported. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedBundle {
    /// The bundle id.
    pub id: Digest,
    /// The SHA-256 of `airlift.json`, where the bundle has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Digest>,
    /// Its place in the stream, by the statement beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The row of updates that it belongs to, by the statement beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

impl ReceivedBundle {
    /// A bundle without a statement.
    pub const fn new(id: Digest, seal: Option<Digest>) -> Self {
        Self { id, seal, sequence: None, stream: None }
    }
}

/// What one repository of the target has of one bundle. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// Configs and layers, sorted.
    pub blobs: Vec<Digest>,
    /// The bundle that has their bytes, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// Manifests of which everything below them was confirmed, sorted.
    pub manifests: Vec<Digest>,
    /// `host/repository` in the target.
    pub repository: String,
    /// `host/repository` at the sender.
    pub source: String,
}

impl Holding {
    fn key(&self) -> (&str, &str, Option<Digest>) {
        (&self.repository, &self.source, self.bundle)
    }
}

/// What a target has after an import. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Receipt {
    /// The artifacts of the import, by their names in the target.
    pub artifacts: Vec<ReceivedArtifact>,
    /// The bundles that were imported, by their ids.
    pub bundles: Vec<ReceivedBundle>,
    /// When the target was asked, in whole seconds.
    pub created: Timestamp,
    /// What the target has, by repository, repository at the sender, and bundle.
    pub holdings: Vec<Holding>,
    /// `REGISTRY[/PREFIX]`.
    pub target: String,
    #[serde(rename = "type")]
    kind: String,
    version: u64,
}

/// The members that tell what a document is.
#[derive(Deserialize)]
struct AnyReceipt {
    #[serde(rename = "type")]
    kind: String,
    version: u64,
}

impl Receipt {
    /// The receipt of `target` at the time `created`, its lists sorted and each entry once.
    pub fn new(
        target: String,
        created: Timestamp,
        mut bundles: Vec<ReceivedBundle>,
        mut artifacts: Vec<ReceivedArtifact>,
        mut holdings: Vec<Holding>,
    ) -> Self {
        let created = Timestamp::from_second(created.as_second()).unwrap_or(created);
        bundles.sort();
        bundles.dedup();
        artifacts.sort_by_cached_key(artifact_key);
        artifacts.dedup_by_key(|artifact| artifact_key(artifact));
        for holding in &mut holdings {
            for list in [&mut holding.blobs, &mut holding.manifests] {
                list.sort();
                list.dedup();
            }
        }
        holdings.sort_by(|a, b| a.key().cmp(&b.key()));
        Self { artifacts, bundles, created, holdings, target, kind: KIND.to_owned(), version: VERSION }
    }

    /// Names the bundles of an import that took a choice of them. Of several, it is not known which one has what.
    pub fn name_bundles(&mut self, bundles: Vec<ReceivedBundle>) {
        if let [only] = &bundles[..] {
            self.holdings.iter_mut().for_each(|holding| holding.bundle = holding.bundle.or(Some(only.id)));
            self.holdings.sort_by(|a, b| a.key().cmp(&b.key()));
        }
        self.bundles = bundles;
        self.bundles.sort();
    }

    /// Canonical JSON.
    ///
    /// # Panics
    /// Never: strings and numbers can always be written.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// Reads a receipt: exactly what [`Receipt::to_json`] writes.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let malformed = |reason: String| Error::Malformed { reason };
        if text.len() as u64 > LIMIT {
            return Err(Error::TooLarge { limit: LIMIT, size: text.len() as u64 });
        }
        let AnyReceipt { kind, version } =
            serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if kind != KIND {
            return Err(malformed(format!("expected the type {KIND:?}, got {kind:?}")));
        }
        if version != VERSION {
            return Err(Error::Version { known: VERSION, found: version });
        }
        let receipt: Self = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if let Some(name) = receipt
            .holdings
            .iter()
            .flat_map(|one| [&one.repository, &one.source])
            .find(|name| !name.parse::<Repository>().is_ok_and(|repository| repository.to_string() == **name))
        {
            return Err(malformed(format!("{name:?} is not a repository with its host")));
        }
        let is_one = receipt.holdings.is_sorted_by(|a, b| a.key() < b.key());
        let Self { artifacts, bundles, created, holdings, target, .. } = receipt.clone();
        if !is_one || Self::new(target, created, bundles, artifacts, holdings).to_json() != text {
            return Err(malformed("it is not canonical JSON, sorted and without doubles".to_owned()));
        }
        Ok(receipt)
    }

    /// The receipt in one line of ASCII, for a telephone or a printed code.
    pub fn line(&self) -> String {
        let confirmed = self.artifacts.iter().filter(|artifact| artifact.result.is_confirmed()).count();
        let target: String = self.target.chars().filter(char::is_ascii_graphic).take(LINE_TARGET).collect();
        let mut line = format!("{KIND}/{VERSION} {target} {} {confirmed}/{}", self.created, self.artifacts.len());
        if let Some(first) = self.bundles.first() {
            let _ = write!(line, " bundle {}", first.id.hex());
        }
        if let Some(more) = self.bundles.len().checked_sub(1).filter(|&more| more > 0) {
            let _ = write!(line, "+{more}");
        }
        let _ = write!(line, " receipt {}", Digest::sha256(&self.to_json()).hex());
        line.truncate(LINE);
        line
    }
}

fn artifact_key(artifact: &ReceivedArtifact) -> (String, String) {
    (artifact.target.to_string(), artifact.reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    fn receipt() -> Receipt {
        let digest = |text: &str| Digest::sha256(text.as_bytes());
        let artifact = |name: &str, result| ReceivedArtifact {
            bytes: 7,
            digest: digest(name),
            reference: format!("r.example/{name}:1").parse().unwrap(),
            result,
            target: format!("registry.site/mirror/{name}:1").parse().unwrap(),
        };
        let holding = |name: &str| Holding {
            blobs: vec![digest("z"), digest("y"), digest("z")],
            bundle: Some(digest("bundle")),
            manifests: vec![digest(name)],
            repository: format!("registry.site/mirror/{name}"),
            source: format!("r.example/{name}"),
        };
        Receipt::new(
            "registry.site/mirror".to_owned(),
            "2026-11-29T08:00:00.25Z".parse().unwrap(),
            vec![ReceivedBundle::new(digest("bundle"), Some(digest("seal")))],
            vec![artifact("b", Received::Failed), artifact("a", Received::Done)],
            vec![holding("b"), holding("a")],
        )
    }

    #[test]
    fn a_receipt_is_read_back_and_nothing_else_is_taken_for_one() {
        let json = String::from_utf8(receipt().to_json()).unwrap();
        assert_eq!(Receipt::parse(json.as_bytes()).unwrap(), receipt());
        for (from, to) in [
            ("{\"artifacts\"", "{ \"artifacts\""),
            ("\"version\":1", "\"version\":2"),
            ("\"version\":1", "\"version\":1,\"x\":1"),
            ("airlift-receipt", "airlift-statement"),
            ("registry.site/mirror/a:1", "registry.site/mirror/c:1"),
            ("\"repository\":\"registry.site/mirror/a\"", "\"repository\":\"../a\""),
            ("\"source\":\"r.example/a\"", "\"source\":\"alpine\""),
            ("08:00:00Z", "08:00:00.5Z"),
            ("done", "well"),
            ("sha256:", "sha256:0"),
        ] {
            let changed = json.replacen(from, to, 1);
            assert_ne!(changed, json, "{from}");
            assert_eq!(Receipt::parse(changed.as_bytes()).unwrap_err().code(), Code::UsageFile, "{changed}");
        }
    }

    #[test]
    fn its_line_is_short_enough_for_a_telephone() {
        let mut receipt = receipt();
        let line = receipt.line();
        assert!(line.starts_with("airlift-receipt/1 registry.site/mirror 2026-11-29T08:00:00Z 1/2 bundle "), "{line}");
        assert!(line.ends_with(&Digest::sha256(&receipt.to_json()).hex()), "{line}");
        receipt.target = format!("{}/mirror", "a".repeat(250));
        receipt.bundles = vec![receipt.bundles[0].clone(); 99];
        let longest = receipt.line();
        assert!(longest.len() < 300 && longest.is_ascii(), "{} {longest}", longest.len());
        assert!(longest.ends_with(&Digest::sha256(&receipt.to_json()).hex()), "{longest}");
    }
}
