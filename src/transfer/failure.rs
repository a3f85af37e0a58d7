//! What can end one artifact of a run.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    content::{self, Code, Fault},
    oci::{Digest, Reference, Tag},
};

/// Where something went wrong, seen from the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where content is taken from.
    Source,
    /// The bundle between the two.
    Bundle,
    /// Where content is put.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Bundle => "bundle",
            Self::Target => "target",
        })
    }
}

/// Why one artifact failed.
#[derive(Debug, thiserror::Error)]
#[error("{artifact} ({side})")]
#[non_exhaustive]
pub struct Failure {
    /// Which artifact, by its name at the source.
    pub artifact: Reference,
    /// Where it went wrong.
    pub side: Side,
    /// What went wrong.
    #[source]
    pub cause: Cause,
}

/// What went wrong with an artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A place failed, or had other content than it should.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// One blob of it failed.
    #[error("blob {digest} ({size} bytes)")]
    Blob {
        /// Which blob.
        digest: Digest,
        /// Its bytes.
        size: u64,
        /// Why. Shared, for several artifacts may need the blob.
        #[source]
        source: std::sync::Arc<content::Error>,
    },
    /// The tag is taken.
    #[error("tag {tag} of {repository} points to {found}, and this artifact is {wanted}")]
    TagExists {
        /// `host/repository` in the target.
        repository: String,
        /// The tag.
        tag: Tag,
        /// What it names now.
        found: Digest,
        /// What it would name.
        wanted: Digest,
    },
    /// It is of a delta, and the target lacks a part of the base.
    #[error(
        "{blobs} of its blobs ({bytes} bytes) are neither in the bundle nor in the target, the first is {first}; {}",
        named(bundles)
    )]
    BaseMissing {
        /// Blobs that are in neither.
        blobs: usize,
        /// Their bytes.
        bytes: u64,
        /// One of them.
        first: Digest,
        /// Ids of bundles that have them, as far as they are known.
        bundles: BTreeSet<Digest>,
    },
    /// What it is attached to by its tag, as cosign attaches signatures, failed.
    #[error("{subject}, to which it is attached, failed")]
    Subject {
        /// The artifact that it is attached to, by its name at the source.
        subject: Box<Reference>,
    },
    /// More attached artifacts, or deeper, than a run follows.
    #[error("{what} exceed the limit of {limit}")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A platform was asked for, and the index has none such.
    #[error("nothing in it is for the platforms asked for; it has {offered}")]
    NoPlatform {
        /// Manifests in the index.
        manifests: usize,
        /// The platforms it has, for people.
        offered: String,
    },
}

/// Which bundles have what is missing, in words.
fn named(bundles: &BTreeSet<Digest>) -> String {
    let ids: Vec<_> = bundles.iter().map(ToString::to_string).collect();
    match &ids[..] {
        [] => "the bundle does not say which other one has them".to_owned(),
        [one] => format!("the bundle with the id {one} has them"),
        several => format!("bundles with these ids have them: {}", several.join(", ")),
    }
}

impl Fault for Cause {
    fn code(&self) -> Code {
        match self {
            Self::Content(error) => error.code(),
            Self::Blob { source, .. } => source.code(),
            Self::TagExists { .. } => Code::TransferTagMoved,
            Self::BaseMissing { .. } => Code::DeltaBaseMissing,
            Self::Subject { .. } => Code::TransferSubject,
            Self::Limit { .. } => Code::TransferLimit,
            Self::NoPlatform { .. } => Code::UsageArgument,
        }
    }
}

impl Fault for Failure {
    fn code(&self) -> Code {
        self.cause.code()
    }
}
