//! The result of a search in order: each reference once, with all of its origins.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{
    finding::{Confidence, Findings, Provenance, Remark, RuleName, Unresolved, visible},
    rules::SearchRules,
};
use crate::oci::Reference;

/// What stands before the origin in a line of a list. By it [`super::update`] knows the lines that a search wrote.
pub(super) const MARK: &str = "# find: ";

/// A place where an artifact was found, and the rule that found it there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Sighting {
    /// How certain the rule is.
    pub confidence: Confidence,
    /// The rule.
    pub rule: RuleName,
    /// The place.
    #[serde(flatten)]
    pub place: Provenance,
}

/// An artifact that is needed, or may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoundArtifact {
    /// The artifact, in full.
    #[serde(serialize_with = "as_text")]
    pub reference: Reference,
    /// That of the most certain origin.
    pub confidence: Confidence,
    /// Where it was found, the most certain places first.
    pub origins: Vec<Sighting>,
}

fn as_text<S: serde::Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}

/// Everything that a search found, sorted, doubles merged, exclusions left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inventory {
    /// Artifacts by their text.
    pub artifacts: Vec<FoundArtifact>,
    /// Places that cannot be read.
    pub unresolved: Vec<Unresolved>,
    /// Remarks on sources.
    pub remarks: Vec<Remark>,
    /// How many artifacts the rules exclude.
    pub excluded: usize,
}

impl Inventory {
    /// Puts `findings` in order.
    pub fn of(findings: Findings, rules: &SearchRules) -> Self {
        let mut by_text: BTreeMap<String, (Reference, Vec<Sighting>)> = BTreeMap::new();
        for mention in findings.mentions {
            let origin = Sighting { confidence: mention.confidence, rule: mention.rule, place: mention.origin };
            by_text
                .entry(mention.reference.to_string())
                .or_insert_with(|| (mention.reference, Vec::new()))
                .1
                .push(origin);
        }
        let before = by_text.len();
        by_text.retain(|text, _| !rules.excludes(text));
        let excluded = before - by_text.len();
        let artifacts = by_text.into_values().map(|(reference, mut origins)| {
            origins.sort();
            origins.dedup();
            let confidence = origins.first().map_or(Confidence::Guess, |origin| origin.confidence);
            FoundArtifact { reference, confidence, origins }
        });
        let mut remarks = findings.remarks;
        remarks.extend(findings.queries.into_iter().map(|(file, query)| Remark {
            file,
            line: Some(query.line),
            text: format!("the tags of {} are chosen in the registry: add --pin to look them up", query.repository),
            incomplete: true,
        }));
        let mut inventory = Self { artifacts: artifacts.collect(), unresolved: findings.unresolved, remarks, excluded };
        inventory.unresolved.sort();
        inventory.unresolved.dedup();
        inventory.remarks.sort();
        inventory.remarks.dedup();
        inventory
    }

    /// Whether something was skipped that may name artifacts.
    pub fn is_incomplete(&self) -> bool {
        self.remarks.iter().any(|remark| remark.incomplete)
    }

    /// Adds a remark on `source` that makes the result incomplete.
    pub fn remark(&mut self, source: &str, text: String) {
        self.remarks.push(Remark { file: source.to_owned(), line: None, text, incomplete: true });
    }

    /// How many artifacts have this confidence.
    pub fn count(&self, confidence: Confidence) -> usize {
        self.artifacts.iter().filter(|artifact| artifact.confidence == confidence).count()
    }

    /// The artifacts that `text` means: by their whole text, without tag and digest, or by the end of their repository.
    pub fn why(&self, text: &str) -> Vec<&FoundArtifact> {
        let wanted: Option<Reference> = text.parse().ok();
        let is_named = |artifact: &&FoundArtifact| {
            let reference = &artifact.reference;
            let context = format!("{}/{}", reference.registry(), reference.repository());
            let is_whole = wanted.as_ref().is_some_and(|wanted| wanted == reference) || reference.to_string() == text;
            is_whole || context == text || context.ends_with(&format!("/{text}"))
        };
        self.artifacts.iter().filter(is_named).collect()
    }

    /// The list as `export -f` reads it: an artifact a line with its origin as a comment, guesses as comments.
    pub fn to_list(&self) -> String {
        let mut list = String::new();
        for artifact in self.artifacts.iter().filter(|artifact| artifact.confidence < Confidence::Guess) {
            let _ = writeln!(list, "{}", artifact.line());
        }
        let guesses: Vec<_> =
            self.artifacts.iter().filter(|artifact| artifact.confidence == Confidence::Guess).collect();
        if !guesses.is_empty() {
            let _ = writeln!(list, "\n# Guesses: remove the first # of a line to take it.");
            for artifact in guesses {
                let _ = writeln!(list, "# {}", artifact.line());
            }
        }
        if !self.unresolved.is_empty() {
            let _ = writeln!(list, "\n# Not readable: write the artifact that is meant above.");
            for Unresolved { text, reason, origin } in &self.unresolved {
                let _ = writeln!(list, "# {} ({reason})  {MARK}{origin}", visible(text));
            }
        }
        list
    }
}

impl FoundArtifact {
    /// The line of a list: the reference, and its first origin as a comment.
    pub(super) fn line(&self) -> String {
        let more = match self.origins.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let origin =
            self.origins.first().map(|origin| format!("{} {} {}", origin.confidence, origin.rule, origin.place));
        format!("{}  {MARK}{}{more}", self.reference, origin.unwrap_or_default())
    }
}
