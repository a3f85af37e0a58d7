//! `airlift.json`: the seal of `index.json`, what is absent on purpose, and of a volume what its set is.

use serde::{Deserialize, Serialize};

use super::{
    Error, Result,
    volume::{Cut, Volume},
};
pub use crate::content::Absence as Reason;
use crate::oci::{
    Digest, Repository,
    canonical::{is_written_as, length_of, sha256_of},
};

/// The format that this code writes and reads (docs/bundle-format.md).
pub const VERSION: u64 = 1;

/// Content that is absent on purpose. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// Of a delta, bundles that have it, by their ids, sorted; some of them where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<Digest>,
    /// Which content.
    pub digest: Digest,
    /// Why.
    pub reason: Reason,
    /// Of a delta, repositories that have it at the sender or the receiver, `host/repository`, sorted; some of them where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Its bytes, as the manifests say.
    pub size: u64,
}

impl Absent {
    /// Content of `size` bytes that is left out for `reason`.
    pub const fn new(digest: Digest, reason: Reason, size: u64) -> Self {
        Self { bundles: Vec::new(), digest, reason, repositories: Vec::new(), size }
    }

    /// What is wrong with what it says of its base.
    fn fault(&self) -> Option<String> {
        let says = !self.bundles.is_empty() || !self.repositories.is_empty();
        let is_sorted = self.bundles.is_sorted_by(|a, b| a < b) && self.repositories.is_sorted_by(|a, b| a < b);
        let is_repository = |text: &String| text.parse::<Repository>().is_ok_and(|found| found.to_string() == *text);
        if says && self.reason != Reason::Delta {
            return Some(format!("{} is not left out as part of a delta, and has a base", self.digest));
        }
        let named = is_sorted && self.repositories.iter().all(is_repository);
        (!named).then(|| format!("the base of {} is not a sorted list of bundles and repositories", self.digest))
    }
}

/// What `airlift.json` says. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Facts {
    /// Everything the manifests of the bundle name that is not in it, sorted by digest.
    pub absent: Vec<Absent>,
    /// SHA-256 of `index.json`, the bundle id.
    pub index: Digest,
    /// Of a volume, what lies in which volume of its set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Cut>,
    /// The format version.
    pub version: u64,
    /// Of a volume, which one it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
}

/// The one field that must be readable in every version.
#[derive(Deserialize)]
struct AnyVersion {
    version: u64,
}

/// The one field in which volumes of a set differ.
#[derive(Deserialize)]
struct SaidVolume {
    volume: Volume,
}

impl Facts {
    /// The facts of a bundle of format 1 whose `index.json` has the digest `index`.
    pub const fn new(index: Digest, absent: Vec<Absent>) -> Self {
        Self { absent, index, set: None, version: VERSION, volume: None }
    }

    /// The facts of volume `number` of a set that is cut as `cut` says, with the digests of the segments in it.
    pub fn of_volume(index: Digest, absent: Vec<Absent>, cut: Cut, number: u32, segments: Vec<Digest>) -> Self {
        let mut facts = Self { set: Some(cut), ..Self::new(index, absent) };
        let set = facts.set_id();
        facts.volume = Some(Volume { number, segments, set });
        facts
    }

    /// The id of the set that a volume belongs to: the SHA-256 of all that its volumes agree on.
    pub fn set_id(&self) -> Digest {
        if self.volume.is_none() {
            return sha256_of(self);
        }
        sha256_of(&Self { volume: None, ..self.clone() })
    }

    /// Canonical JSON.
    ///
    /// # Panics
    /// Never: strings and numbers can always be written.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// Appends it as canonical JSON: of a hundred thousand blobs it has some megabytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("strings and numbers serialise");
    }

    /// What `text` says, if it is that of a volume of the same set: then all but the volume itself is known, and in memory once.
    pub(super) fn of_another_volume(&self, text: &[u8]) -> Option<Self> {
        let SaidVolume { volume } = serde_json::from_slice(text).ok()?;
        self.volume.as_ref().filter(|own| own.set == volume.set)?;
        let facts = Self { volume: Some(volume), ..self.clone() };
        is_written_as(&facts, text).then_some(facts)
    }

    /// Bytes of it as canonical JSON.
    pub(crate) fn length(&self) -> u64 {
        length_of(self)
    }

    /// The digest of it as canonical JSON.
    pub(crate) fn digest(&self) -> Digest {
        sha256_of(self)
    }

    /// Reads `airlift.json`, which must be canonical and of a version known here.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let seal = |reason: String| Error::Seal { document: "airlift.json", reason };
        let AnyVersion { version } = serde_json::from_slice(text).map_err(|error| seal(error.to_string()))?;
        if version != VERSION {
            return Err(Error::Version { found: version });
        }
        let facts: Self = serde_json::from_slice(text).map_err(|error| seal(error.to_string()))?;
        if !is_written_as(&facts, text) {
            return Err(seal("it is not canonical JSON".to_owned()));
        }
        if let Some(fault) = facts.absent.iter().find_map(Absent::fault) {
            return Err(seal(fault));
        }
        if facts.set.is_some() != facts.volume.is_some() {
            return Err(seal("a volume says which one it is, and of what set".to_owned()));
        }
        if facts.volume.as_ref().is_some_and(|volume| volume.set != facts.set_id()) {
            return Err(seal("what it says of its set is not what was sealed".to_owned()));
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    #[test]
    fn facts_are_read_back_and_nothing_else_is_taken_for_them() {
        let absent = Absent::new(Digest::sha256(b"a"), Reason::Foreign, 1);
        let facts = Facts::new(Digest::sha256(b"index"), vec![absent]);
        let json = String::from_utf8(facts.to_json()).unwrap();
        assert_eq!(Facts::parse(json.as_bytes()).unwrap(), facts);
        for (from, to, code) in [
            (r#""version":1"#, r#""version":2,"new":true"#, Code::BundleVersion),
            (r#""version":1"#, r#""version":1,"new":true"#, Code::BundleSeal),
            (r#""version":1"#, r#""version": 1"#, Code::BundleSeal),
            ("foreign", "Foreign", Code::BundleSeal),
            ("foreign", "fore\\u0069gn", Code::BundleSeal),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json);
            assert_eq!(Facts::parse(changed.as_bytes()).unwrap_err().code(), code, "{changed}");
        }
    }
    #[test]
    fn the_base_of_a_delta_has_one_form() {
        let (low, high) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
        let (low, high) = if low < high { (low, high) } else { (high, low) };
        let repositories = vec!["r.example/a".to_owned(), "r.example/b".to_owned()];
        let base = || Absent {
            bundles: vec![low, high],
            repositories: repositories.clone(),
            ..Absent::new(Digest::sha256(b"a"), Reason::Delta, 1)
        };
        let parsed = |absent: Absent| Facts::parse(&Facts::new(Digest::sha256(b"index"), vec![absent]).to_json());
        assert_eq!(parsed(base()).unwrap().absent, [base()]);
        for wrong in [
            Absent { reason: Reason::Foreign, ..base() },
            Absent { bundles: vec![high, low], ..base() },
            Absent { bundles: vec![low, low], ..base() },
            Absent { repositories: repositories.iter().rev().cloned().collect(), ..base() },
            Absent { repositories: vec!["r.example/../a".to_owned()], ..base() },
            Absent { repositories: vec!["alpine".to_owned()], ..base() },
        ] {
            assert_eq!(parsed(wrong.clone()).unwrap_err().code(), Code::BundleSeal, "{wrong:?}");
        }
        let empty = String::from_utf8(Facts::new(Digest::sha256(b"index"), vec![base()]).to_json()).unwrap();
        let empty = empty.replace(&format!("[\"{low}\",\"{high}\"]"), "[]");
        assert_eq!(Facts::parse(empty.as_bytes()).unwrap_err().code(), Code::BundleSeal, "{empty}");
    }
}
