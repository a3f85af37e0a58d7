//! The manifest of a set: which files it consists of, and their sums.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Cut, MAX_VOLUMES, Pieces};
use crate::{
    content::{Code, Fault},
    oci::{Algorithm, Digest},
};

/// What the file of sums is called, as everybody calls it.
pub const SUMS: &str = "SHA256SUMS";

/// The end of the name of a set's manifest.
const SUFFIX: &str = ".set.json";

/// The format of the manifest that this code writes and reads.
const VERSION: u64 = 1;

/// A file of the set. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetFile {
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// Its name, in the folder of the manifest.
    pub name: String,
    /// Bytes of the whole file.
    pub size: u64,
}

/// The manifest of a set. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetManifest {
    /// The bundle id: SHA-256 of the `index.json` that is in every volume.
    pub bundle: Digest,
    /// What lies in which volume, in the order of an undivided bundle.
    pub pieces: Pieces,
    /// The set's id, which is in every volume.
    pub set: Digest,
    /// Bytes that a volume may have.
    pub size: u64,
    /// The version of this format.
    pub version: u64,
    /// The volumes, the first of them first.
    pub volumes: Vec<SetFile>,
}

/// Why a file is not a manifest of a set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetManifestError {
    /// It is no such document, or not in canonical form.
    #[error("it is not a manifest of a set: {0}")]
    Form(String),
    /// It is of a later format.
    #[error("it has format version {found}; this airlift reads version {VERSION}")]
    Version {
        /// The version it says.
        found: u64,
    },
}

impl Fault for SetManifestError {
    fn code(&self) -> Code {
        match self {
            Self::Form(_) => Code::BundleSet,
            Self::Version { .. } => Code::BundleVersion,
        }
    }
}

/// The one field that must be readable in every version.
#[derive(Deserialize)]
struct AnySetVersion {
    version: u64,
}

impl SetManifest {
    /// The manifest of the set `set` of the bundle `bundle`, cut as `cut` says into `volumes`.
    pub fn new(bundle: Digest, set: Digest, cut: &Cut, volumes: Vec<SetFile>) -> Self {
        Self { bundle, pieces: cut.pieces.clone(), set, size: cut.size, version: VERSION, volumes }
    }

    /// What the manifest of the set `name` is called.
    pub fn file_name(name: &str) -> String {
        format!("{name}{SUFFIX}")
    }

    /// The name of the set whose manifest is called `file_name`; `None` if no manifest is called so.
    pub fn set_name(file_name: &str) -> Option<&str> {
        file_name.strip_suffix(SUFFIX).filter(|name| !name.is_empty())
    }

    /// Canonical JSON.
    ///
    /// # Panics
    /// Never: strings and numbers can always be written.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// Reads a manifest, which must be canonical, of a known version, and name nothing but plain files.
    ///
    /// # Errors
    /// [`SetManifestError`].
    pub fn parse(text: &[u8]) -> Result<Self, SetManifestError> {
        let form = |reason: &dyn ToString| SetManifestError::Form(reason.to_string());
        let AnySetVersion { version } = serde_json::from_slice(text).map_err(|error| form(&error))?;
        if version != VERSION {
            return Err(SetManifestError::Version { found: version });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| form(&error))?;
        if manifest.to_json() != text {
            return Err(form(&"it is not canonical JSON"));
        }
        let mut names: Vec<&str> = manifest.files().map(|file| file.name.as_str()).collect();
        if let Some(bad) = names.iter().find(|name| !is_name(name)) {
            return Err(form(&format!("{bad:?} is not the name of a file")));
        }
        names.sort_unstable();
        if let Some([double, ..]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(form(&format!("{double:?} is named twice")));
        }
        if manifest.files().any(|file| file.digest.algorithm() != Algorithm::Sha256) {
            return Err(form(&"the sums of files are SHA-256"));
        }
        match u32::try_from(manifest.volumes.len()) {
            Ok(1..=MAX_VOLUMES) => Ok(manifest),
            _ => Err(form(&format!("a set of {} volumes is none", manifest.volumes.len()))),
        }
    }

    /// Every file of the set but the manifest and the sums.
    pub fn files(&self) -> impl Iterator<Item = &SetFile> {
        self.volumes.iter()
    }

    /// The bytes of `SHA256SUMS`: a line for each file of the set and for the manifest, which is called `own_name`.
    pub fn sums(&self, own_name: &str) -> String {
        let mut text = String::new();
        let own = Digest::sha256(&self.to_json());
        for (digest, name) in self.files().map(|file| (file.digest, file.name.as_str())).chain([(own, own_name)]) {
            let _ = writeln!(text, "{}  {name}", digest.hex());
        }
        text
    }
}

/// Whether `name` is the name of a file in any folder, and nothing that leads out of it or that a list of sums would
/// have to escape.
pub fn is_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str) -> SetManifest {
        let cut = Cut { pieces: Pieces::default(), size: 4096, volumes: 1 };
        let file = SetFile { digest: Digest::sha256(b"volume"), name: name.to_owned(), size: 6 };
        SetManifest::new(Digest::sha256(b"index"), Digest::sha256(b"set"), &cut, vec![file])
    }

    #[test]
    fn a_manifest_is_read_back_and_nothing_else_is_taken_for_one() {
        let good = manifest("a.vol001.tar");
        let json = String::from_utf8(good.to_json()).unwrap();
        assert_eq!(SetManifest::parse(json.as_bytes()).unwrap(), good);
        for (from, to, code) in [
            ("\"version\":1", "\"version\":2,\"more\":1", Code::BundleVersion),
            ("\"version\":1", "\"version\": 1", Code::BundleSet),
            ("\"version\":1", "\"version\":1,\"x\":1", Code::BundleSet),
            ("a.vol001.tar", "../a", Code::BundleSet),
            ("a.vol001.tar", "", Code::BundleSet),
        ] {
            let changed = json.replacen(from, to, 1);
            assert_ne!(changed, json);
            assert_eq!(SetManifest::parse(changed.as_bytes()).unwrap_err().code(), code, "{changed}");
        }
        let mut twice = good.clone();
        twice.volumes.push(good.volumes[0].clone());
        assert_eq!(SetManifest::parse(&twice.to_json()).unwrap_err().code(), Code::BundleSet);
    }

    #[test]
    fn sums_name_every_file_and_the_manifest() {
        let set = manifest("a.vol001.tar");
        let own = Digest::sha256(&set.to_json()).hex();
        let volume = Digest::sha256(b"volume").hex();
        assert_eq!(set.sums("a.set.json"), format!("{volume}  a.vol001.tar\n{own}  a.set.json\n"));
        assert_eq!(SetManifest::set_name("a.set.json"), Some("a"));
        assert_eq!(SetManifest::set_name(".set.json"), None);
    }
}
