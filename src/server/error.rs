//! How a server fails to start.

use std::{collections::BTreeSet, io, path::PathBuf};

use crate::{
    content::{Code, Fault},
    oci::{Digest, Reference},
};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate, a key or a file of passwords cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Credentials {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The bundles were verified before the start, and are damaged.
    #[error("{}", told(damage))]
    Damaged {
        /// What is damaged; never nothing.
        damage: Vec<DamagedBlob>,
    },
}

impl Fault for ServerError {
    fn code(&self) -> Code {
        match self {
            Self::Bind { .. } => Code::ServeListen,
            Self::Credentials { .. } => Code::UsageFile,
            Self::Damaged { .. } => Code::BundleDigestMismatch,
        }
    }
}

/// Artifacts that a message names; the log names all of them.
const NAMED: usize = 8;

/// A blob that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedBlob {
    /// The file name of the bundle that has it.
    pub bundle: String,
    /// Which blob.
    pub blob: Digest,
    /// The artifacts that need it, by the names they were exported by.
    pub artifacts: Vec<Reference>,
}

/// All of it in one sentence.
fn told(damage: &[DamagedBlob]) -> String {
    let count = |number: usize, what: &str| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    let bundles: BTreeSet<&str> = damage.iter().map(|one| one.bundle.as_str()).collect();
    let blobs: Vec<String> = damage.iter().map(|one| one.blob.to_string()).collect();
    let artifacts: BTreeSet<String> = damage.iter().flat_map(|one| &one.artifacts).map(ToString::to_string).collect();
    let mut named: Vec<_> = artifacts.iter().take(NAMED).cloned().collect();
    if artifacts.len() > NAMED {
        named.push(format!("{} more", artifacts.len() - NAMED));
    }
    let bundles = bundles.into_iter().collect::<Vec<_>>().join(", ");
    let first = blobs.first().map(String::as_str).unwrap_or_default();
    let needed = if named.is_empty() { String::new() } else { format!("; needed by {}", named.join(", ")) };
    format!("{bundles}: {} damaged, the first {first}{needed}", count(blobs.len(), "blob"))
}
