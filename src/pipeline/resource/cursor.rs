//! A way through a JSON document that notes everything that is wrong on it, instead of ending at the first.

use std::{cell::RefCell, fmt};

use serde_json::{Map, Value};

/// Something wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Where: `properties.target.uri`, `properties.options[1]`, or `.` for the whole.
    pub path: String,
    /// What.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Where problems are noted.
#[derive(Debug, Default)]
pub(super) struct Notes(RefCell<Vec<Problem>>);

impl Notes {
    pub(super) fn note(&self, path: &str, problem: impl Into<String>) {
        let path = if path.is_empty() { "." } else { path };
        self.0.borrow_mut().push(Problem { path: path.to_owned(), problem: problem.into() });
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A place in the document, whether anything is there or not.
#[derive(Clone)]
pub(super) struct DocumentNode<'a> {
    value: Option<&'a Value>,
    path: String,
    notes: &'a Notes,
}

impl<'a> DocumentNode<'a> {
    pub(super) fn root(value: &'a Value, notes: &'a Notes) -> Self {
        Self { value: Some(value), path: String::new(), notes }
    }

    pub(super) fn note(&self, problem: impl Into<String>) {
        self.notes.note(&self.path, problem);
    }

    /// Whether nothing is there; `null` is nothing.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none_or(Value::is_null)
    }

    /// The fields of an object; none, where nothing is there.
    pub(super) fn fields(&self) -> Fields<'a> {
        let map = match self.value {
            Some(Value::Object(map)) => Some(map),
            None | Some(Value::Null) => None,
            Some(_) => {
                self.note("must be an object");
                None
            }
        };
        Fields { map, path: self.path.clone(), notes: self.notes, known: RefCell::default() }
    }

    /// A text that is not empty: templates hand over an empty one where there is none.
    pub(super) fn text(&self) -> Option<&'a str> {
        let text = match self.value {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => text.trim(),
            Some(_) => {
                self.note("must be a text");
                return None;
            }
        };
        if text.starts_with('[') && text.ends_with(']') && text.contains('(') {
            self.note("is an expression of a template; write the value that it stands for");
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    /// A text that must be there.
    pub(super) fn needed(&self) -> Option<&'a str> {
        let before = self.notes.0.borrow().len();
        let text = self.text();
        if text.is_none() && self.notes.0.borrow().len() == before {
            self.note("is needed");
        }
        text
    }

    /// What `parse` makes of the text, where there is one.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&'a str) -> Result<T, String>) -> Option<T> {
        self.taken(self.text()?, parse)
    }

    /// As [`Self::parsed`], and it must be there.
    pub(super) fn needed_parsed<T>(&self, parse: impl FnOnce(&'a str) -> Result<T, String>) -> Option<T> {
        self.taken(self.needed()?, parse)
    }

    fn taken<T>(&self, text: &'a str, parse: impl FnOnce(&'a str) -> Result<T, String>) -> Option<T> {
        parse(text).map_err(|problem| self.note(problem)).ok()
    }

    /// One of a few words, in any case.
    pub(super) fn one_of<T>(&self, words: &[&str], of_word: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.parsed(|text| of_word(text).ok_or_else(|| format!("{text:?} is none of {}", words.join(", "))))
    }

    /// A count of at least one.
    pub(super) fn count(&self) -> Option<usize> {
        let value = self.value.filter(|value| !value.is_null())?;
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
        if count.is_none() {
            self.note("must be a whole number above 0");
        }
        count
    }

    /// The entries of a list; none, where nothing is there.
    pub(super) fn entries(&self) -> Vec<Self> {
        match self.value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values
                .iter()
                .enumerate()
                .map(|(at, value)| Self { value: Some(value), path: format!("{}[{at}]", self.path), notes: self.notes })
                .collect(),
            Some(_) => {
                self.note("must be a list");
                Vec::new()
            }
        }
    }
}

/// The fields of an object. A field that was not read when it is closed is a problem: most often a typing error.
pub(super) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    path: String,
    notes: &'a Notes,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &'static str) -> DocumentNode<'a> {
        self.known.borrow_mut().push(name);
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        DocumentNode { value: self.map.and_then(|map| map.get(name)), path, notes: self.notes }
    }

    /// Fields that may be there and say nothing to us.
    pub(super) fn pass_over(&self, names: &[&'static str]) {
        self.known.borrow_mut().extend(names);
    }

    /// The names that are there.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a String> {
        self.map.into_iter().flat_map(Map::keys)
    }

    /// Notes the fields that were not read.
    pub(super) fn close(&self) {
        let known = self.known.borrow();
        for name in self.map.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let meant = known.iter().find(|one| one.eq_ignore_ascii_case(name));
            let hint = meant.map(|meant| format!("; {meant} is meant?")).unwrap_or_default();
            self.notes.note(&path, format!("is not known{hint}"));
        }
    }
}
