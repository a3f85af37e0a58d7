//! The members of a trust file, as they stand there.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustDocument {
    #[serde(default = "one")]
    pub(super) require: usize,
    pub(super) max_age: Option<String>,
    #[serde(default)]
    pub(super) enforce: bool,
    #[serde(default)]
    pub(super) signer: Vec<SignerEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignerEntry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) key: Several,
    #[serde(default)]
    pub(super) ssh: Several,
    #[serde(default)]
    pub(super) minisign: Several,
    pub(super) ca: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) streams: Option<Vec<String>>,
}

/// One text or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Several {
    One(String),
    Many(Vec<String>),
}

impl Default for Several {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Several {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
        .iter()
        .map(String::as_str)
    }
}

const fn one() -> usize {
    1
}
