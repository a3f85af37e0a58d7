//! Lists of artifacts that people keep in files: plain lines, YAML or JSON.
//!
//! Lines: a reference each; empty lines and what follows a `#` do not count. YAML and JSON: a list of references, or
//! `{registry: HOST, artifacts: [...]}`, where `registry` is the host of those that name none. Which of the two it is
//! shows in the first line: no reference begins with `-`, `[` or `{`, or holds a colon before a blank.

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::Spanned;

use crate::{
    content::{Code, Fault},
    oci::{Reference, reference::ParseReferenceError},
};

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a list nor a mapping with `artifacts`.
    #[error("{file}, line {line}: not a list of artifacts")]
    Form {
        /// The file as it was given.
        file: String,
        /// From 1; 0 where the parser names none.
        line: u64,
        /// The parser's complaint.
        source: Box<serde_saphyr::Error>,
    },
    /// An entry is no reference.
    #[error("{file}, line {line}")]
    Reference {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        source: ParseReferenceError,
    },
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Form { .. } => Code::UsageFile,
            Self::Reference { .. } => Code::UsageReference,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListDocument {
    #[serde(default)]
    registry: Option<String>,
    artifacts: Vec<Spanned<String>>,
}

/// The references in `text`, in its order. `file` is what errors call it; `registry` is the host for references without
/// one, and is stronger than the one that the list itself names.
pub fn parse(text: &str, file: &str, registry: Option<&str>) -> Result<Vec<Reference>, Error> {
    let text = text.trim_start_matches('\u{feff}');
    let (own, entries) = match form(text) {
        ListForm::Lines => (None, lines(text)),
        ListForm::Sequence => (None, entries(document(text, file)?)),
        ListForm::Mapping => {
            let document: ListDocument = document(text, file)?;
            (document.registry, entries(document.artifacts))
        }
    };
    let registry = registry.or(own.as_deref());
    let reference = |(line, entry): (u64, String)| {
        Reference::parse(&entry, registry).map_err(|source| Error::Reference { file: file.to_owned(), line, source })
    };
    entries.into_iter().map(reference).collect()
}

enum ListForm {
    Lines,
    Sequence,
    Mapping,
}

/// What the first line that counts looks like.
fn form(text: &str) -> ListForm {
    let mut lines = text.lines().map(uncommented).filter(|line| !line.is_empty() && *line != "---");
    match lines.next() {
        Some(first) if first.starts_with(['-', '[']) => ListForm::Sequence,
        Some(first) if first.starts_with('{') || first.ends_with(':') || first.contains(": ") => ListForm::Mapping,
        _ => ListForm::Lines,
    }
}

fn lines(text: &str) -> Vec<(u64, String)> {
    let numbered = (1..).zip(text.lines().map(uncommented));
    numbered.filter(|(_, line)| !line.is_empty()).map(|(number, line)| (number, line.to_owned())).collect()
}

/// A line without its comment and outer blanks. A `#` within a word is none.
fn uncommented(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

fn document<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, Error> {
    serde_saphyr::from_str(text).map_err(|error| Error::Form {
        file: file.to_owned(),
        line: error.location().map_or(0, |location| location.line()),
        source: match error {
            // The line is named; a drawing of it belongs into no error.
            serde_saphyr::Error::WithSnippet { error, .. } => error,
            error => Box::new(error),
        },
    })
}

fn entries(items: Vec<Spanned<String>>) -> Vec<(u64, String)> {
    items.into_iter().map(|item| (item.referenced.line(), item.value)).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn names(text: &str, registry: Option<&str>) -> Vec<String> {
        parse(text, "list", registry).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_gives_the_same_references() {
        let expected = ["docker.io/library/alpine:3", "r.example/team/app:1"];
        for text in [
            "# base\nalpine:3   # the usual\n\n  r.example/team/app:1\r\n",
            "\u{feff}alpine:3\nr.example/team/app:1",
            "---\n# base\n- alpine:3 # the usual\n- r.example/team/app:1\n",
            "[\"alpine:3\", \"r.example/team/app:1\"]",
            "artifacts:\n  - alpine:3\n  - r.example/team/app:1\n",
            "{\n  \"artifacts\": [\"alpine:3\",\n \"r.example/team/app:1\"]\n}",
            "registry: docker.io\nartifacts: [library/alpine:3, r.example/team/app:1]",
        ] {
            assert_eq!(names(text, None), expected, "{text}");
        }
        assert!(names("# nothing\n", None).is_empty());
    }

    #[test]
    fn the_host_is_the_callers_then_the_lists() {
        let list = "registry: r.example:5000\nartifacts: [app:1]";
        assert_eq!(names(list, None), ["r.example:5000/app:1"]);
        assert_eq!(names(list, Some("mirror.example")), ["mirror.example/app:1"]);
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        for (text, message, code) in [
            ("alpine:3\n\nUPPER/case", "list, line 3", Code::UsageReference),
            ("- alpine:3\n- UPPER/case\n", "list, line 2", Code::UsageReference),
            ("{\"artifacts\": [\n\"alpine:3\",\n\"UPPER/case\"]}", "list, line 3", Code::UsageReference),
            ("- alpine:3\n- [a]\n", "list, line 2: not a list of artifacts", Code::UsageFile),
            ("artifacts:\n  - a:1\nimages:\n  - b:1\n", "list, line 3: not a list of artifacts", Code::UsageFile),
            ("[\"alpine:3\",\n\"b:1\"", "list, line 1: not a list of artifacts", Code::UsageFile),
        ] {
            let error = parse(text, "list", None).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.code()), (message, code), "{text}: {:?}", error.source());
        }
    }
}
