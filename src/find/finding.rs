//! The results of a search: references with their origins, and notes on what could not be used.

use std::{borrow::Cow, fmt};

use serde::Serialize;

use super::tags::TagQuery;
use crate::oci::Reference;

/// Most characters of a file's text that are shown in one place.
const MAX_SHOWN: usize = 500;

/// How certain it is that a text names an artifact that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Its place says so: a container's `image`, an annotation or a lock file made for this, `FROM`.
    Sure,
    /// Its key says so, such as `sidecarImage`, or `registry`, `repository` and `tag` side by side.
    Likely,
    /// It only looks like a reference.
    Guess,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sure => "sure",
            Self::Likely => "likely",
            Self::Guess => "guess",
        })
    }
}

/// The stable name of the rule that found a reference, such as `pod-spec`.
pub type RuleName = Cow<'static, str>;

/// Where a text was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Provenance {
    /// The file as it was given, or its path below the folder or archive that was given.
    pub file: String,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// `Kind/name` of the Kubernetes object, or the service or build stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The path within the document, such as `.spec.containers[0].image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", visible(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        for text in [&self.object, &self.path].into_iter().flatten() {
            write!(f, " {}", visible(text))?;
        }
        Ok(())
    }
}

/// Text of a file as one line without control characters, cut.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN).collect()
}

/// A reference at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The artifact, in full.
    pub reference: Reference,
    /// How certain it is.
    pub confidence: Confidence,
    /// The rule that found it.
    pub rule: RuleName,
    /// Where it was found.
    pub origin: Provenance,
}

/// A place that names an artifact in a way that cannot be read, such as `app:${VERSION}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unresolved {
    /// The text as it is there.
    pub text: String,
    /// What is missing.
    pub reason: String,
    /// Where it is.
    #[serde(flatten)]
    pub origin: Provenance,
}

/// Something that a person should know about a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remark {
    /// The file, or the source.
    pub file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What it is.
    pub text: String,
    /// Whether artifacts may be missing from the result because of it.
    pub incomplete: bool,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", visible(&self.file), visible(&self.text)),
            None => write!(f, "{}: {}", visible(&self.file), visible(&self.text)),
        }
    }
}

/// Everything that a search found, in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// References.
    pub mentions: Vec<Mention>,
    /// Places that cannot be read.
    pub unresolved: Vec<Unresolved>,
    /// Remarks on sources.
    pub remarks: Vec<Remark>,
    /// Choices of tags in lists, which only a registry can answer, with the file of each.
    pub queries: Vec<(String, TagQuery)>,
}

impl Findings {
    /// Adds everything of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.mentions.append(&mut other.mentions);
        self.unresolved.append(&mut other.unresolved);
        self.remarks.append(&mut other.remarks);
        self.queries.append(&mut other.queries);
    }

    /// Whether something was skipped that may name artifacts.
    pub fn is_incomplete(&self) -> bool {
        self.remarks.iter().any(|remark| remark.incomplete)
    }

    /// Adds a remark on `file`. `incomplete` says that artifacts may be missing because of it.
    pub fn remark(&mut self, file: &str, line: Option<u64>, text: impl Into<String>, incomplete: bool) {
        self.remarks.push(Remark { file: file.to_owned(), line, text: text.into(), incomplete });
    }
}
