//! YAML and JSON as a tree that keeps the line of each value, in bounded memory.
//!
//! An alias shares the value of its anchor, so a document takes no more memory than its text has values, however often
//! they are repeated. The walk has a budget of its own for repeated values.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, StrInput, options};

/// Deepest nesting of a document that is read.
const MAX_DEPTH: usize = 200;

/// Most values of one document.
const MAX_VALUES: usize = 1_000_000;

/// Most entries that merge keys may add to one mapping.
const MAX_MERGED: usize = 10_000;

/// The address of a value in its [`ValueTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u32);

impl Id {
    /// Its position among the values of the tree.
    pub(crate) const fn position(self) -> usize {
        self.0 as usize
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes on one line.
    Plain,
    /// In quotes.
    Quoted,
    /// As a block (`|` or `>`), which begins on the line after.
    Block,
}

/// A value of a document.
#[derive(Debug)]
pub(crate) enum Value {
    /// A text, a number, a boolean or null, as it was written.
    Scalar(Box<str>, Style),
    /// A list.
    Sequence(Vec<Id>),
    /// Pairs in the order of the document; a key may occur twice.
    Mapping(Vec<(Id, Id)>),
}

/// One document.
#[derive(Debug)]
pub(crate) struct ValueTree {
    values: Vec<(u32, Value)>,
    root: Id,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    /// Neither YAML nor JSON.
    #[error("line {line}: {reason}")]
    Syntax {
        /// From 1.
        line: u64,
        /// The parser's complaint.
        reason: String,
    },
    /// Nested deeper than `MAX_DEPTH`.
    #[error("line {line}: nested deeper than {MAX_DEPTH} levels")]
    Depth {
        /// From 1.
        line: u64,
    },
    /// More values than `MAX_VALUES`.
    #[error("more than {most} values in one document")]
    Values {
        /// The limit.
        most: usize,
    },
}

impl ValueTree {
    /// The whole document.
    pub(crate) const fn root(&self) -> Id {
        self.root
    }

    /// The value at `id`.
    pub(crate) fn value(&self, id: Id) -> &Value {
        &self.values[id.position()].1
    }

    /// Its line, from 1.
    pub(crate) fn line(&self, id: Id) -> u64 {
        u64::from(self.values[id.position()].0)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The text of a scalar.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence; none where it is not a sequence.
    pub(crate) fn items(&self, id: Id) -> &[Id] {
        match self.value(id) {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping with text as keys, those of merge keys (`<<`) last; none where it is not a mapping.
    pub(crate) fn entries(&self, id: Id) -> Vec<(&str, Id)> {
        let mut entries = Vec::new();
        self.collect(id, 0, &mut entries);
        entries
    }

    /// The value of `key` in the mapping `id`.
    pub(crate) fn get(&self, id: Id, key: &str) -> Option<Id> {
        self.entries(id).iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The text of `key` in the mapping `id`.
    pub(crate) fn get_text(&self, id: Id, key: &str) -> Option<&str> {
        self.get(id, key).and_then(|value| self.text(value))
    }

    fn collect<'a>(&'a self, id: Id, depth: usize, entries: &mut Vec<(&'a str, Id)>) {
        let Value::Mapping(pairs) = self.value(id) else { return };
        let named = pairs.iter().filter_map(|(key, value)| Some((self.text(*key)?, *value)));
        let (merged, own): (Vec<_>, Vec<_>) = named.partition(|(key, _)| *key == "<<");
        entries.extend(own);
        for (_, value) in merged {
            if depth >= MAX_DEPTH || entries.len() >= MAX_MERGED {
                return;
            }
            match self.value(value) {
                Value::Mapping(_) => self.collect(value, depth + 1, entries),
                Value::Sequence(items) => items.iter().for_each(|item| {
                    if entries.len() < MAX_MERGED {
                        self.collect(*item, depth + 1, entries);
                    }
                }),
                Value::Scalar(..) => {}
            }
        }
    }
}

/// The documents of a text, one after the other. After a document that cannot be read, the next one is tried.
pub(crate) struct Documents<'a> {
    parser: Option<Parser<'a, StrInput<'a>>>,
    most: usize,
}

impl<'a> Documents<'a> {
    /// Reads `text`, which may have a byte order mark.
    pub(crate) fn new(text: &'a str) -> Self {
        Self::bounded(text, MAX_VALUES)
    }

    /// As [`Self::new`], with another limit of values.
    fn bounded(text: &'a str, most: usize) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { parser: Some(Parser::new_from_str_with_options(text, options! { emit_comments: false })), most }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<ValueTree, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let parser = self.parser.as_mut()?;
        let mut draft = TreeDraft { most: self.most, ..TreeDraft::default() };
        loop {
            let error = match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => {
                    self.parser = None;
                    return None;
                }
                Some(Ok((Event::DocumentEnd, _))) => match draft.root {
                    Some(root) => return Some(Ok(ValueTree { values: draft.values, root })),
                    None => continue,
                },
                Some(Ok((event, span))) => match draft.take(event, span.start.line()) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Some(Err(error)) => TreeError::Syntax { line: error.marker().line() as u64, reason: error.info() },
            };
            if !matches!(parser.proceed_next_document(), Ok(true)) {
                self.parser = None;
            }
            return Some(Err(error));
        }
    }
}

/// The value at a path of keys of the first document in `text`. Of everything else nothing is kept, so that a document of any size takes the
/// memory of that value.
pub(crate) fn value_at(text: &str, path: &[&str]) -> Result<Option<ValueTree>, TreeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut events = EventReader(Parser::new_from_str_with_options(text, options! { emit_comments: false }));
    // Mappings that are open, and the key whose value comes next.
    let (mut open, mut key) = (0, None::<String>);
    while let Some((event, line)) = events.next()? {
        let is_value = is_start(&event) || matches!(event, Event::Scalar(..) | Event::Alias(..));
        match (event, key.take()) {
            (Event::MappingStart(..), None) if open == 0 => open = 1,
            (event, Some(name)) if path.get(open - 1) == Some(&name.as_str()) => match event {
                event if open == path.len() => return events.value(event, line).map(Some),
                Event::MappingStart(..) => open += 1,
                _ => return Ok(None),
            },
            (Event::MappingEnd | Event::DocumentEnd, _) => return Ok(None),
            (Event::Scalar(text, ..), None) if open > 0 => key = Some(text.into_owned()),
            (_, None) if open == 0 && is_value => return Ok(None),
            // A key that is not text has a value too.
            (event, None) if is_value => {
                events.skip(&event)?;
                key = Some(String::new());
            }
            (event, _) => events.skip(&event)?,
        }
    }
    Ok(None)
}

fn is_start(event: &Event<'_>) -> bool {
    matches!(event, Event::MappingStart(..) | Event::SequenceStart(..))
}

struct EventReader<'a>(Parser<'a, StrInput<'a>>);

impl<'a> EventReader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, TreeError> {
        let event = self.0.next_event().transpose();
        let event =
            event.map_err(|error| TreeError::Syntax { line: error.marker().line() as u64, reason: error.info() })?;
        Ok(event.map(|(event, span)| (event, span.start.line())))
    }

    /// Passes over the value that begins with `event`.
    fn skip(&mut self, event: &Event<'_>) -> Result<(), TreeError> {
        let mut open = usize::from(is_start(event));
        while open > 0 {
            let Some((event, _)) = self.next()? else { break };
            open += usize::from(is_start(&event));
            open -= usize::from(matches!(event, Event::MappingEnd | Event::SequenceEnd));
        }
        Ok(())
    }

    /// The value that begins with `event`.
    fn value(&mut self, event: Event<'a>, line: usize) -> Result<ValueTree, TreeError> {
        let mut draft = TreeDraft { most: MAX_VALUES, ..TreeDraft::default() };
        draft.take(event, line)?;
        while draft.root.is_none() {
            let Some((event, line)) = self.next()? else { break };
            draft.take(event, line)?;
        }
        let root = draft.root.ok_or(TreeError::Depth { line: line as u64 })?;
        Ok(ValueTree { values: draft.values, root })
    }
}

/// A collection whose end is still to come.
enum Open {
    Sequence(Vec<Id>),
    Mapping { pairs: Vec<(Id, Id)>, key: Option<Id> },
}

#[derive(Default)]
struct TreeDraft {
    most: usize,
    values: Vec<(u32, Value)>,
    /// The address that a collection will have, its anchor, and what it holds so far.
    open: Vec<(Id, usize, Open)>,
    anchors: HashMap<usize, Id>,
    root: Option<Id>,
}

impl TreeDraft {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), TreeError> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    _ => Style::Quoted,
                };
                let id = self.add(line, Value::Scalar(boxed(text), style))?;
                self.anchors.insert(anchor, id);
                self.place(id);
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, Open::Sequence(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                self.begin(line, anchor, Open::Mapping { pairs: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, anchor, open)) = self.open.pop() {
                    self.values[id.position()].1 = match open {
                        Open::Sequence(items) => Value::Sequence(items),
                        Open::Mapping { pairs, .. } => Value::Mapping(pairs),
                    };
                    // Known from here on: an alias within its own anchor stands for nothing.
                    self.anchors.insert(anchor, id);
                    self.place(id);
                }
            }
            Event::Alias(anchor) => {
                let id = match self.anchors.get(&anchor) {
                    Some(id) => *id,
                    None => self.add(line, Value::Scalar(Box::default(), Style::Plain))?,
                };
                self.place(id);
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, line: usize, value: Value) -> Result<Id, TreeError> {
        let most = self.most;
        let position = u32::try_from(self.values.len()).ok().filter(|_| self.values.len() < most);
        let id = Id(position.ok_or(TreeError::Values { most })?);
        self.values.push((u32::try_from(line).unwrap_or(u32::MAX), value));
        Ok(id)
    }

    fn begin(&mut self, line: usize, anchor: usize, open: Open) -> Result<(), TreeError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(TreeError::Depth { line: line as u64 });
        }
        let id = self.add(line, Value::Sequence(Vec::new()))?;
        self.open.push((id, anchor, open));
        Ok(())
    }

    fn place(&mut self, id: Id) {
        match self.open.last_mut() {
            None => self.root = Some(id),
            Some((_, _, Open::Sequence(items))) => items.push(id),
            Some((_, _, Open::Mapping { pairs, key })) => match key.take() {
                Some(name) => pairs.push((name, id)),
                None => *key = Some(id),
            },
        }
    }
}

fn boxed(text: Cow<'_, str>) -> Box<str> {
    text.into_owned().into_boxed_str()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn one(text: &str) -> ValueTree {
        Documents::new(text).next().unwrap().unwrap()
    }

    #[test]
    fn values_keep_their_lines_and_their_spelling() {
        let tree = one("a:\n  tag: 1.10\n  b: [x, \"y\"]\n");
        let a = tree.get(tree.root(), "a").unwrap();
        assert_eq!(tree.get_text(a, "tag"), Some("1.10"));
        let tag = tree.get(a, "tag").unwrap();
        assert_eq!(tree.line(tag), 2);
        let b = tree.get(a, "b").unwrap();
        assert_eq!(tree.items(b).iter().filter_map(|item| tree.text(*item)).collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn aliases_share_values_and_merge_keys_add_entries() {
        let tree = one("base: &b {image: x, n: 1}\nweb:\n  <<: *b\n  n: 2\nboth:\n  <<: [*b, *b]\n");
        let web = tree.get(tree.root(), "web").unwrap();
        assert_eq!(tree.get_text(web, "image"), Some("x"));
        assert_eq!(tree.get_text(web, "n"), Some("2"));
        let both = tree.get(tree.root(), "both").unwrap();
        assert_eq!(tree.entries(both).len(), 4);
    }

    #[test]
    fn a_billion_aliases_take_no_more_memory_than_their_text() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..10 {
            let repeated = vec![format!("*a{}", level - 1); 10].join(",");
            writeln!(text, "a{level}: &a{level} [{repeated}]").unwrap();
        }
        assert!(one(&text).len() < 100);
    }

    #[test]
    fn an_alias_within_its_own_anchor_is_empty() {
        let tree = one("a: &a\n  b: *a\n");
        let a = tree.get(tree.root(), "a").unwrap();
        assert_eq!(tree.get_text(a, "b"), Some(""));
    }

    #[test]
    fn one_value_of_a_document_is_read_without_the_others() {
        let text = "a: [1, {entries: no}]\n? [x]\n: {b: 1}\nentries:\n  other: [x]\n  web:\n  - {version: 1}\n  - {version: 2}\nz: 1\n";
        let tree = value_at(text, &["entries", "web"]).unwrap().unwrap();
        let versions = tree.items(tree.root()).iter().filter_map(|item| tree.get_text(*item, "version"));
        assert_eq!(versions.collect::<Vec<_>>(), ["1", "2"]);
        for (text, path) in [
            (text, &["entries", "absent"][..]),
            (text, &["a", "entries"]),
            ("[1]", &["a"]),
            ("x", &["a"]),
            ("", &["a"]),
            ("a: b", &["a", "b"]),
        ] {
            assert!(value_at(text, path).unwrap().is_none(), "{text}: {path:?}");
        }
        assert!(value_at("a: ]", &["b"]).is_err());
        assert_eq!(value_at("{\"a\": {\"b\": \"c\"}}", &["a", "b"]).unwrap().map(|tree| tree.len()), Some(1));
    }

    #[test]
    fn a_broken_document_does_not_hide_the_next() {
        let all: Vec<_> = Documents::new("a: 1\n---\nb: {{ x }\n  c: ]\n---\nd: 2\n").collect();
        assert!(all[0].is_ok());
        assert!(matches!(all[1], Err(TreeError::Syntax { line: 3..=5, .. })), "{:?}", all[1]);
        assert_eq!(all[2].as_ref().unwrap().get_text(all[2].as_ref().unwrap().root(), "d"), Some("2"));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = "[".repeat(500);
        assert!(Documents::new(&deep).next().unwrap().is_err());
        let error = Documents::bounded("[1, 2, 3, 4, 5]", 5).next().unwrap().unwrap_err();
        assert_eq!(error, TreeError::Values { most: 5 });
        assert!(Documents::bounded("[1, 2, 3, 4, 5]", 6).next().unwrap().is_ok());
    }
}
