//! A person's own rules: further keys, paths and patterns, and what is not to be found.

use regex::Regex;
use serde::Deserialize;

/// Largest size of one compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not the form of a file of rules.
    #[error("{file}, line {line}: not a file of rules")]
    Form {
        /// The file as it was given.
        file: String,
        /// From 1; 0 where the parser names none.
        line: u64,
        /// The parser's complaint.
        source: Box<serde_saphyr::Error>,
    },
    /// A pattern cannot be compiled.
    #[error("{file}: {pattern:?} is not a pattern")]
    Pattern {
        /// The file as it was given.
        file: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RulesDocument {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    exclude_files: Vec<String>,
}

/// The rules that a person adds to those of airlift.
#[derive(Clone, Debug, Default)]
pub struct SearchRules {
    keys: Vec<Regex>,
    paths: Vec<Regex>,
    regexes: Vec<Regex>,
    exclude: Vec<Regex>,
    exclude_files: Vec<Regex>,
}

impl SearchRules {
    /// Reads a file of rules:
    ///
    /// ```yaml
    /// keys: [runner, "*Container"]            # members whose text is an image
    /// paths: [".spec.engine.*.source"]        # the same, by their path
    /// regexes: ['--tool=(?<image>\S+)']       # the group `image`, the first group, or the whole match
    /// exclude: ["docker.io/library/busybox:*"]
    /// exclude-files: ["*/testdata/*"]
    /// ```
    ///
    /// In all but `regexes`, `*` stands for any text.
    pub fn parse(text: &str, file: &str) -> Result<Self, RulesError> {
        let document: RulesDocument = serde_saphyr::from_str(text).map_err(|error| RulesError::Form {
            file: file.to_owned(),
            line: error.location().map_or(0, |location| location.line()),
            source: match error {
                serde_saphyr::Error::WithSnippet { error, .. } => error,
                error => Box::new(error),
            },
        })?;
        let globs = |patterns: &[String]| -> Result<Vec<Regex>, RulesError> {
            patterns.iter().map(|pattern| compile(&from_glob(pattern), pattern, file)).collect()
        };
        Ok(Self {
            keys: globs(&document.keys)?,
            paths: globs(&document.paths)?,
            regexes: document.regexes.iter().map(|regex| compile(regex, regex, file)).collect::<Result<_, _>>()?,
            exclude: globs(&document.exclude)?,
            exclude_files: globs(&document.exclude_files)?,
        })
    }

    /// Whether there is no rule that finds something.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.paths.is_empty()
    }

    pub(super) fn matches_key(&self, key: &str) -> bool {
        self.keys.iter().any(|regex| regex.is_match(key))
    }

    pub(super) fn matches_path(&self, path: &str) -> bool {
        self.paths.iter().any(|regex| regex.is_match(path))
    }

    /// Whether the artifact `reference`, written in full, is not to be found.
    pub(super) fn excludes(&self, reference: &str) -> bool {
        self.exclude.iter().any(|regex| regex.is_match(reference))
    }

    /// Whether the file at `path` is not to be read.
    pub(super) fn excludes_file(&self, path: &str) -> bool {
        self.exclude_files.iter().any(|regex| regex.is_match(path))
    }

    /// What the patterns find in `text`.
    pub(super) fn texts<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let all = self.regexes.iter().flat_map(|regex| regex.captures_iter(text));
        all.filter_map(|found| found.name("image").or_else(|| found.get(1)).or_else(|| found.get(0)))
            .map(|found| found.as_str())
            .collect()
    }
}

/// The pattern of a text in which `*` stands for any text.
pub(super) fn from_glob(glob: &str) -> String {
    format!("^{}$", glob.split('*').map(regex::escape).collect::<Vec<_>>().join(".*"))
}

/// Whether `text` matches `glob`, in which `*` stands for any text.
pub fn matches_glob(glob: &str, text: &str) -> bool {
    Regex::new(&from_glob(glob)).is_ok_and(|regex| regex.is_match(text))
}

fn compile(regex: &str, pattern: &str, file: &str) -> Result<Regex, RulesError> {
    regex::RegexBuilder::new(regex).size_limit(MAX_PATTERN).build().map_err(|error| RulesError::Pattern {
        file: file.to_owned(),
        pattern: pattern.to_owned(),
        source: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_keys_paths_patterns_and_exclusions() {
        let text = "keys: ['*Runner']\npaths: ['.spec.*.source']\nregexes: ['--tool=(\\S+)']\nexclude: ['docker.io/library/*']\nexclude-files: ['*/testdata/*']\n";
        let rules = SearchRules::parse(text, "rules").unwrap();
        assert!(rules.matches_key("jobRunner") && !rules.matches_key("jobRunners"));
        assert!(rules.matches_path(".spec.engine[0].source") && !rules.matches_path(".spec.source"));
        assert_eq!(rules.texts("run --tool=a/b:1 --tool=c:2"), ["a/b:1", "c:2"]);
        assert!(rules.excludes("docker.io/library/busybox:1") && !rules.excludes("quay.io/a:1"));
        assert!(rules.excludes_file("a/testdata/b.yaml"));
    }

    #[test]
    fn a_file_of_rules_that_is_wrong_is_refused_with_its_line() {
        let error = SearchRules::parse("keys: []\nkey: [a]\n", "my-rules").unwrap_err();
        assert_eq!(error.to_string(), "my-rules, line 2: not a file of rules");
        assert!(matches!(SearchRules::parse("regexes: ['(']", "r"), Err(RulesError::Pattern { .. })));
    }
}
