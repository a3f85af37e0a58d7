//! A choice of what bundles hold: an import of some artifacts, for some platforms, or without what is attached to them.
//!
//! A choice is the plan of an export from the bundles, which an import moves.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use super::{
    delta::base::Bases,
    error::Error,
    export::{self, Foreign},
    failure::Side,
    import::{self, ImportPlan},
    mirror,
    opened::Opened,
    origin::Places,
    report::Report,
    resolve::ReferrerLimits,
    supply::ArtifactSupply as _,
};
use crate::{
    content::Targets,
    oci::{Platform, Reference, Tag},
    progress::Progress,
};

/// A pattern of artifact names. `*` stands for any characters, `/` and `:` included. It is held against the whole name,
/// the name without its registry, and both of them without the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

/// A pattern without a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a pattern such as 'docker.io/library/*' or 'team/app:v1', got an empty text")]
pub struct EmptyPattern;

impl FromStr for NamePattern {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        if text.is_empty() { Err(EmptyPattern) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NamePattern {
    /// Whether it means `reference`.
    pub fn matches(&self, reference: &Reference) -> bool {
        let (name, repository) = (reference.to_string(), reference.context().to_string());
        let without_host = |text: &str| text.split_once('/').map(|(_, rest)| rest.to_owned());
        let forms = [without_host(&name), without_host(&repository), Some(name), Some(repository)];
        forms.iter().flatten().any(|form| is_match(&self.0, form))
    }
}

/// Whether `pattern` stands for all of `text`. The first place of each piece between stars is the best one, so nothing is
/// tried twice.
fn is_match(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(last)
}

/// What an import takes of its bundles. The default is everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Choice {
    /// These artifacts, and those of `patterns`; all of them if both are empty.
    pub artifacts: Vec<Reference>,
    /// The artifacts that any of these means.
    pub patterns: Vec<NamePattern>,
    /// Platforms to keep; empty keeps all.
    pub platforms: Vec<Platform>,
    /// Whether signatures, SBOMs and other attached artifacts are taken.
    pub referrers: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self { artifacts: Vec::new(), patterns: Vec::new(), platforms: Vec::new(), referrers: true }
    }
}

impl Choice {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        let Self { artifacts, patterns, platforms, referrers } = self;
        artifacts.is_empty() && patterns.is_empty() && platforms.is_empty() && *referrers
    }

    /// Whether it means `reference`, if that is there.
    pub fn means(&self, reference: &Reference) -> bool {
        let is_open = self.artifacts.is_empty() && self.patterns.is_empty();
        is_open || self.artifacts.contains(reference) || self.patterns.iter().any(|pattern| pattern.matches(reference))
    }

    /// The artifacts to take of `all`. One that is listed and is not there stays: its failure names it.
    ///
    /// # Errors
    /// A pattern means none of them.
    fn of(&self, all: &[Reference]) -> Result<Vec<Reference>, Error> {
        // What cosign attaches by a tag comes with its subject.
        let all = all.iter().filter(|one| self.referrers || !one.tag().is_some_and(Tag::is_of_attached));
        if self.artifacts.is_empty() && self.patterns.is_empty() {
            return Ok(all.cloned().collect());
        }
        let all: Vec<_> = all.collect();
        let mut chosen: BTreeSet<Reference> = self.artifacts.iter().cloned().collect();
        for pattern in &self.patterns {
            let mut meant = all.iter().filter(|one| pattern.matches(one)).map(|&one| one.clone()).peekable();
            if meant.peek().is_none() {
                return Err(Error::NoneMatches { pattern: pattern.0.clone() });
            }
            chosen.extend(meant);
        }
        Ok(chosen.into_iter().collect())
    }

    /// The choice as the plan of an export from `bundles`.
    fn request(&self, places: &Places, bundles: &[Opened], how: &import::Request) -> Result<export::Request, Error> {
        let mut bases = Bases::default();
        for bundle in bundles {
            bases.remember(bundle.reader().contents());
        }
        Ok(export::Request {
            artifacts: self.of(&places.artifacts())?,
            platforms: self.platforms.clone(),
            foreign: Foreign::Include,
            referrers: self.referrers,
            continue_on_errors: how.continue_on_errors,
            jobs: how.jobs,
            bases: Arc::new(bases),
            small_jobs: how.small_jobs,
            limits: ReferrerLimits::default(),
        })
    }

    /// Imports what is chosen of `bundles`, as [`import::run`] imports all of them. The bundles stay.
    ///
    /// # Errors
    /// Those of an import; a pattern means no artifact, or a listed artifact is in none of the bundles.
    pub async fn import(
        &self,
        targets: &dyn Targets,
        bundles: &[Opened],
        how: &import::Request,
        progress: &Progress,
    ) -> Result<Report, Error> {
        let places = Places::of(bundles)?;
        let what = self.request(&places, bundles, how)?;
        import::prove_first(bundles, how, progress).await?;
        let mut report = mirror::run_from((&places, Side::Bundle), targets, &what, how, progress).await?;
        if let Some(receipt) = &mut report.receipt {
            receipt.name_bundles(bundles.iter().filter_map(|bundle| bundle.reader().bundle()).collect());
        }
        Ok(report)
    }

    /// What [`Choice::import`] would do. Nothing is pushed.
    ///
    /// # Errors
    /// Those of [`Choice::import`].
    pub async fn plan(
        &self,
        targets: &dyn Targets,
        bundles: &[Opened],
        how: &import::Request,
        progress: &Progress,
    ) -> Result<ImportPlan, Error> {
        let places = Places::of(bundles)?;
        let what = self.request(&places, bundles, how)?;
        Ok(mirror::planned((&places, Side::Bundle), targets, &what, how, progress).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_names_with_and_without_registry_and_tag() {
        let name: Reference = "r.example:5000/team/app:v1".parse().unwrap();
        let digest = format!("r.example/team/app@sha256:{}", "a".repeat(64)).parse().unwrap();
        for (pattern, means) in [
            ("team/app", true),
            ("team/app:v1", true),
            ("r.example:5000/team/app", true),
            ("r.example:5000/*", true),
            ("*:v1", true),
            ("*/app:v*", true),
            ("t*m*a*p", true),
            ("team", false),
            ("app", false),
            ("team/app:v", false),
            ("*:v2", false),
            ("team/app*v1*v1", false),
        ] {
            assert_eq!(pattern.parse::<NamePattern>().unwrap().matches(&name), means, "{pattern}");
        }
        assert!("team/*".parse::<NamePattern>().unwrap().matches(&digest));
        assert_eq!("".parse::<NamePattern>(), Err(EmptyPattern));
    }
}
