//! The mark of a set that several machines write and that is not complete yet (docs/plan-format.md).

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// The end of the name of the mark.
const SUFFIX: &str = ".unsealed.json";

/// Largest mark that is read, in bytes.
pub(crate) const UNSEALED_LIMIT: u64 = 64 << 10;

/// The version that this code writes and reads.
const VERSION: u64 = 1;

/// Which plan the volumes beside it are of, as long as the set has no manifest. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsealedSet {
    /// The id of the plan.
    pub(crate) plan: Digest,
    /// The id of the set.
    pub(crate) set: Digest,
    version: u64,
    /// How many volumes the set will have.
    pub(crate) volumes: u32,
}

impl UnsealedSet {
    pub(crate) const fn new(plan: Digest, set: Digest, volumes: u32) -> Self {
        Self { plan, set, version: VERSION, volumes }
    }

    /// What the mark of the set `name` is called.
    pub(crate) fn file_name(name: &str) -> String {
        format!("{name}{SUFFIX}")
    }

    /// The name of the set of which the file `name` is the mark, if it is one.
    pub(crate) fn set_name(name: &str) -> Option<&str> {
        name.strip_suffix(SUFFIX).filter(|name| !name.is_empty())
    }

    /// Canonical JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// What a mark says; `None` where it says nothing that this version understands, and so only that a set is not complete.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|mark: &Self| mark.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_one_of_a_later_version_is_not() {
        let mark = UnsealedSet::new(Digest::sha256(b"plan"), Digest::sha256(b"set"), 3);
        let text = String::from_utf8(mark.to_json()).unwrap();
        assert_eq!(UnsealedSet::parse(text.as_bytes()), Some(mark));
        assert_eq!(UnsealedSet::parse(text.replace("\"version\":1", "\"version\":2").as_bytes()), None);
        assert_eq!(UnsealedSet::set_name(&UnsealedSet::file_name("a")), Some("a"));
    }
}
