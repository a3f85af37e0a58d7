//! Why several machines did not make a set.

use crate::{
    content::{Code, Fault},
    oci::{Digest, Reference},
    storage, transfer,
};

/// A volume that is not as it should be.
#[derive(Debug)]
pub struct BadVolume {
    /// Its number, from 1.
    pub number: u32,
    /// Its name, in the folder of the set.
    pub name: String,
    /// What is wrong with it; none where it is not there.
    pub source: Option<transfer::Error>,
}

/// Why a plan was not used, or a set not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not a plan, or was edited.
    #[error("{place} is not a plan of airlift, or was changed: {reason}")]
    Malformed {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan is of a later version.
    #[error("{place} is a plan of version {found}; this airlift reads version {known}")]
    Version {
        /// Where it is.
        place: String,
        /// The version that it says.
        found: u64,
        /// The version that is read here.
        known: u64,
    },
    /// A list was given beside the plan, and the plan was made of another.
    #[error("{place} was made of another list: {}", difference(.artifact.as_deref(), *.is_asked))]
    OtherList {
        /// Where the plan is.
        place: String,
        /// The first artifact that one of the two has and the other has not; none where the options differ.
        artifact: Option<Box<Reference>>,
        /// Whether the list has it, and the plan has not.
        is_asked: bool,
    },
    /// The place has volumes of another plan.
    #[error("{place} has volumes of another plan: expected {expected}, got {found}")]
    OtherPlan {
        /// Where.
        place: String,
        /// The plan of this run, or its set.
        expected: Digest,
        /// The one that is there.
        found: Digest,
    },
    /// The set in the place is complete, and of something else.
    #[error("{place} is a complete set of something else: expected the set {expected}, got {found}")]
    OtherSet {
        /// The manifest of the set.
        place: String,
        /// The set of the plan.
        expected: Digest,
        /// The one that is there.
        found: Digest,
    },
    /// Not all volumes are there, or some are damaged.
    #[error("{place} has {} of {volumes} volumes; {}", *volumes as usize - .bad.len(), summary(.bad))]
    Unfinished {
        /// The folder.
        place: String,
        /// How many there must be.
        volumes: u32,
        /// Those that lack or are wrong; never empty.
        bad: Vec<BadVolume>,
    },
    /// A part of the run failed as it may without a plan.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
}

fn difference(artifact: Option<&Reference>, is_asked: bool) -> String {
    match artifact {
        Some(artifact) if is_asked => format!("it does not have {artifact}"),
        Some(artifact) => format!("it has {artifact}, and the list has not"),
        None => "the platforms, foreign layers, referrers or the size of the volumes differ".to_owned(),
    }
}

fn summary(bad: &[BadVolume]) -> String {
    let (missing, damaged): (Vec<_>, Vec<_>) = bad.iter().partition(|one| one.source.is_none());
    let names = |volumes: Vec<&BadVolume>| volumes.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = Vec::new();
    if !missing.is_empty() {
        text.push(format!("missing: {}", names(missing)));
    }
    if !damaged.is_empty() {
        text.push(format!("damaged: {}", names(damaged)));
    }
    text.join("; ")
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Self::Transfer(error.into())
    }
}

impl From<crate::bundle::Error> for Error {
    fn from(error: crate::bundle::Error) -> Self {
        Self::Transfer(error.into())
    }
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::PlanMalformed,
            Self::Version { .. } => Code::PlanVersion,
            Self::OtherList { .. } => Code::PlanOtherList,
            Self::OtherPlan { .. } => Code::PlanOther,
            Self::OtherSet { .. } => Code::OutputExists,
            // What is missing may come yet; what is wrong stays wrong.
            Self::Unfinished { bad, .. } => {
                bad.iter().find_map(|one| one.source.as_ref()).map_or(Code::PlanUnfinished, Fault::code)
            }
            Self::Transfer(error) => error.code(),
        }
    }
}
