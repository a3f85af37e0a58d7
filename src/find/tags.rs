//! Choices among the tags of a repository: patterns, ranges of versions, the newest ones.

use std::{cmp::Ordering, str::FromStr};

use regex::Regex;
use semver::{Version, VersionReq};

/// Largest size of one compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// Why a text names no choice of tags.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagFilterError {
    /// Neither `re:` nor `semver:` is in front.
    #[error("{0:?} is not a choice of tags: write 're:REGEX' or 'semver:RANGE'")]
    Form(String),
    /// The pattern cannot be compiled.
    #[error("{pattern:?} is not a regular expression")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The range cannot be read.
    #[error("{range:?} is not a range of versions")]
    Range {
        /// The range.
        range: String,
        /// What is wrong with it.
        source: semver::Error,
    },
}

/// A choice among tags. The default takes all.
#[derive(Clone, Debug, Default)]
pub struct TagFilter {
    /// One of these must match; none means that any tag does.
    allow: Vec<Regex>,
    /// None of these may match.
    deny: Vec<Regex>,
    /// The tag is a version within one of these.
    ranges: Vec<VersionReq>,
}

/// A choice of tags that a list makes.
#[derive(Clone, Debug, PartialEq)]
pub struct TagQuery {
    /// The repository with its host.
    pub repository: String,
    /// Which tags.
    pub filter: TagFilter,
    /// How many of them, the newest first.
    pub latest: Option<usize>,
    /// Its line, from 1.
    pub line: u64,
}

impl PartialEq for TagFilter {
    fn eq(&self, other: &Self) -> bool {
        let texts = |all: &[Regex]| all.iter().map(|regex| regex.as_str().to_owned()).collect::<Vec<_>>();
        texts(&self.allow) == texts(&other.allow)
            && texts(&self.deny) == texts(&other.deny)
            && self.ranges == other.ranges
    }
}

impl TagFilter {
    /// Also demands a match of `pattern` (or of another one that was added).
    pub fn allow(mut self, pattern: &str) -> Result<Self, TagFilterError> {
        self.allow.push(compile(pattern)?);
        Ok(self)
    }

    /// Also refuses what matches `pattern`.
    pub fn deny(mut self, pattern: &str) -> Result<Self, TagFilterError> {
        self.deny.push(compile(pattern)?);
        Ok(self)
    }

    /// Also demands a version within `range`: `>=1.2, <2`, `>=1.2 <2`, `1.x`, `^1.2`, `1 || 2`. A version without an operator
    /// stands for itself.
    pub fn within(mut self, range: &str) -> Result<Self, TagFilterError> {
        for part in range.split("||") {
            let source = |source| TagFilterError::Range { range: range.to_owned(), source };
            self.ranges.push(VersionReq::parse(&with_commas(part)).map_err(source)?);
        }
        Ok(self)
    }

    /// Whether `tag` is chosen.
    pub fn matches(&self, tag: &str) -> bool {
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|regex| regex.is_match(tag));
        let is_denied = self.deny.iter().any(|regex| regex.is_match(tag));
        let is_within = self.ranges.is_empty()
            || version(tag).is_some_and(|version| self.ranges.iter().any(|range| range.matches(&version)));
        is_allowed && !is_denied && is_within
    }

    /// The chosen ones among `tags`, newest first, `latest` of them at the most. Versions come before other tags, and other
    /// tags are in the reverse order of their text.
    pub fn select(&self, tags: impl IntoIterator<Item = String>, latest: Option<usize>) -> Vec<String> {
        let mut chosen: Vec<String> = tags.into_iter().filter(|tag| self.matches(tag)).collect();
        chosen.sort_by(|one, other| newest_first(one, other));
        chosen.dedup();
        chosen.truncate(latest.unwrap_or(usize::MAX));
        chosen
    }
}

impl FromStr for TagFilter {
    type Err = TagFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(pattern) = text.strip_prefix("re:") {
            return Self::default().allow(pattern);
        }
        match text.strip_prefix("semver:") {
            Some(range) => Self::default().within(range),
            None => Err(TagFilterError::Form(text.to_owned())),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, TagFilterError> {
    let built = regex::RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
    built.map_err(|error| TagFilterError::Pattern { pattern: pattern.to_owned(), source: Box::new(error) })
}

fn newest_first(one: &str, other: &str) -> Ordering {
    match (version(one), version(other)) {
        (Some(a), Some(b)) => b.cmp(&a).then_with(|| other.cmp(one)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => other.cmp(one),
    }
}

/// A tag as a version: `v` in front is left out, missing parts are 0, `_` stands for `+` as Helm writes it.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag).replacen('_', "+", 1);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 3_usize.checked_sub(numbers.split('.').count())?;
    Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))).ok()
}

/// A range as npm, Masterminds and Cargo write it, in Cargo's form.
fn with_commas(range: &str) -> String {
    if let Some((low, high)) = range.split_once(" - ") {
        return format!(">={}, <={}", low.trim(), high.trim());
    }
    let mut parts: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in range.split([' ', ',']).filter(|word| !word.is_empty()) {
        if word.chars().all(|c| matches!(c, '<' | '>' | '=' | '~' | '^')) {
            word.clone_into(&mut operator);
            continue;
        }
        let word = format!("{}{word}", std::mem::take(&mut operator)).replacen("==", "=", 1);
        let at = word.find(|c: char| !matches!(c, '<' | '>' | '=' | '~' | '^')).unwrap_or(word.len());
        let (operator, version) = word.split_at(at);
        let version = version.strip_prefix('v').unwrap_or(version);
        let is_bare = operator.is_empty() && version.split(['.', '-']).all(|part| !matches!(part, "x" | "X" | "*"));
        parts.push(format!("{}{version}", if is_bare { "=" } else { operator }));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(filter: &str, latest: Option<usize>) -> Vec<String> {
        let tags = ["latest", "v1.2.0", "1.10", "v2.0.0-rc.1", "1.9.3", "2.0.0", "nightly", "v1.2.0-debug"];
        filter.parse::<TagFilter>().unwrap().select(tags.map(str::to_owned), latest)
    }

    #[test]
    fn ranges_are_read_in_every_usual_spelling() {
        assert_eq!(select("semver:>=1.2, <2", None), ["1.10", "1.9.3", "v1.2.0"]);
        assert_eq!(select("semver:>= 1.2 <2", Some(1)), ["1.10"]);
        assert_eq!(select("semver:1.x || 2", None), ["2.0.0", "1.10", "1.9.3", "v1.2.0"]);
        assert_eq!(select("semver:1.2 - 1.9", None), ["1.9.3", "v1.2.0"]);
        assert_eq!(select("semver:~1.9", None), ["1.9.3"]);
        assert_eq!(select("semver:1.2.0", None), ["v1.2.0"]);
    }

    #[test]
    fn patterns_choose_and_the_newest_come_first() {
        assert_eq!(select("re:^v", None), ["v2.0.0-rc.1", "v1.2.0", "v1.2.0-debug"]);
        let same = ["1.2", "v1.2.0", "1.2.0"].map(str::to_owned);
        assert_eq!(TagFilter::default().select(same, None), ["v1.2.0", "1.2.0", "1.2"]);
        assert_eq!(select("re:^(latest|nightly)$", Some(1)), ["nightly"]);
        let filter = TagFilter::default().allow("^v").unwrap().deny("rc").unwrap();
        assert!(filter.matches("v1") && !filter.matches("v1-rc"));
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for text in ["1.2", "re:(", "semver:>>1"] {
            assert!(text.parse::<TagFilter>().is_err(), "{text}");
        }
    }
}
