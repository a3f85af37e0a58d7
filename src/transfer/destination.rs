//! Where an artifact goes: its name at the source becomes its name in the target registry.

use std::{fmt, str::FromStr};

use crate::oci::{
    Digest, Name, Reference,
    reference::{ParseReferenceError, host_as_part, is_repository},
};

/// A registry, and the part of it that artifacts are put under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryPrefix {
    /// The host, with its port if any.
    pub registry: String,
    /// A repository prefix, `site/mirror`; none puts artifacts at the top.
    pub prefix: Option<String>,
}

/// A text that is not a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not REGISTRY[/PREFIX], such as registry.site:5000/mirror, without https:// or docker://")]
pub struct ParseDestinationError(String);

impl RegistryPrefix {
    /// A store on this machine, which has no host.
    pub fn local() -> Self {
        Self { registry: "localhost".to_owned(), prefix: None }
    }
}

impl FromStr for RegistryPrefix {
    type Err = ParseDestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_end_matches('/');
        let (registry, prefix) = match text.split_once('/') {
            Some((registry, prefix)) => (registry, Some(prefix)),
            None => (text, None),
        };
        // The grammar of references knows best what a host is; `x` stands for any repository.
        let probe: Result<Reference, _> = format!("{registry}/x").parse();
        let is_host = probe.is_ok_and(|probe| probe.registry() == registry || registry == "index.docker.io");
        if !is_host || !prefix.is_none_or(is_repository) {
            return Err(ParseDestinationError(text.to_owned()));
        }
        Ok(Self { registry: registry.to_owned(), prefix: prefix.map(str::to_owned) })
    }
}

/// A rewrite rule: a repository that begins with `from`, in whole parts, begins with `to` instead.
///
/// `from` is compared with `host/repository` and, failing that, with the repository alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the source begins with.
    pub from: String,
    /// What the target, below its prefix, begins with instead; may be empty.
    pub to: String,
}

/// A text that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not FROM=TO, such as docker.io/library=base")]
pub struct ParseRuleError(String);

impl FromStr for Rule {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseRuleError(text.to_owned());
        let (from, to) = text.split_once('=').ok_or_else(error)?;
        let (from, to) = (from.trim_matches('/'), to.trim_matches('/'));
        if from.is_empty() || !(to.is_empty() || is_repository(to)) {
            return Err(error());
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--map {}={}", self.from, self.to)
    }
}

impl Rule {
    /// Whether it applies to `source`.
    pub(super) fn matches(&self, source: &Reference) -> bool {
        self.apply(source).is_some()
    }

    /// The repository that this rule makes, or `None` where it does not apply.
    fn apply(&self, source: &Reference) -> Option<String> {
        let context = source.context().to_string();
        let rest = after(&context, &self.from).or_else(|| after(source.repository(), &self.from))?;
        Some([self.to.as_str(), rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
    }
}

/// What follows `from` in `path`, if `path` begins with it in whole parts.
fn after<'a>(path: &'a str, from: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(from)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// How names change on the way.
#[derive(Clone, Debug)]
pub struct Renaming {
    /// Where artifacts go.
    pub to: RegistryPrefix,
    /// Whether the source's host becomes the first part of the repository.
    pub keep_host: bool,
    /// Rewrite rules; the first that matches wins, and `keep_host` then does not apply.
    pub rules: Vec<Rule>,
}

impl Renaming {
    /// The repository in the target for `source`.
    pub fn repository(&self, source: &Reference) -> String {
        let mapped = self.rules.iter().find_map(|rule| rule.apply(source)).unwrap_or_else(|| {
            if self.keep_host {
                format!("{}/{}", host_as_part(source.registry()), source.repository())
            } else {
                source.repository().to_owned()
            }
        });
        let parts = self.to.prefix.iter().map(String::as_str).chain([mapped.as_str()]);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// The full name in the target. `digest` is that of the manifest there; it stands in the name only where the source
    /// has no tag.
    pub fn reference(&self, source: &Reference, digest: Digest) -> Result<Reference, ParseReferenceError> {
        let name = source.tag().cloned().map_or(Name::Digest(digest), Name::Tag);
        Reference::new(&self.to.registry, &self.repository(source), &name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(to: &str, keep_host: bool, rules: &[&str], source: &str) -> String {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let renaming = Renaming { to: to.parse().unwrap(), keep_host, rules };
        renaming.reference(&source.parse().unwrap(), Digest::sha256(b"abc")).unwrap().to_string()
    }

    #[test]
    fn the_source_host_is_dropped_or_becomes_a_part() {
        assert_eq!(renamed("r.site", false, &[], "alpine:3"), "r.site/library/alpine:3");
        assert_eq!(renamed("r.site:5000/m", true, &[], "alpine:3"), "r.site:5000/m/docker.io/library/alpine:3");
        assert_eq!(renamed("localhost", true, &[], "127.0.0.1:5000/a:1"), "localhost/127.0.0.1-5000/a:1");
        assert_eq!(renamed("[::1]:5000/m", false, &[], "r.site/a:1"), "[::1]:5000/m/a:1");
        assert_eq!(renamed("r.site", true, &[], "[::1]:5000/a:1"), "r.site/0-0-0-0-0-0-0-1-5000/a:1");
    }

    #[test]
    fn the_first_rule_that_matches_whole_parts_wins() {
        let rules = ["docker.io/library=base", "team=t", "library=never", "quay.io/x/app=app"];
        assert_eq!(renamed("r.site/m", false, &rules, "alpine:3"), "r.site/m/base/alpine:3");
        assert_eq!(renamed("r.site", true, &rules, "ghcr.io/team/app:1"), "r.site/t/app:1");
        assert_eq!(renamed("r.site", false, &rules, "ghcr.io/teams/app:1"), "r.site/teams/app:1");
        assert_eq!(renamed("r.site", false, &rules, "quay.io/x/app:1"), "r.site/app:1");
    }

    #[test]
    fn an_artifact_without_tag_keeps_its_digest() {
        let digest = Digest::sha256(b"abc");
        assert_eq!(renamed("r.site", false, &[], &format!("q.io/a@{digest}")), format!("r.site/a@{digest}"));
        assert_eq!(renamed("r.site", false, &[], &format!("q.io/a:1@{digest}")), "r.site/a:1");
    }

    #[test]
    fn malformed_targets_and_rules_are_refused() {
        for bad in ["", "r.site/UPPER", "r.site/a//b", "http://r.site", "r.site/..", "just-a-word/x"] {
            assert!(bad.parse::<RegistryPrefix>().is_err(), "{bad:?}");
        }
        for bad in ["", "a", "=b", "a=UPPER", "a=b/../c"] {
            assert!(bad.parse::<Rule>().is_err(), "{bad:?}");
        }
    }
}
