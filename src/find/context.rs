//! Where a text comes from, and what is known beside it.

use std::collections::BTreeMap;

use super::{
    finding::{Confidence, Provenance},
    rules::SearchRules,
};

/// Of what is not a chart.
pub(super) static NO_DEFAULTS: ImageDefaults =
    ImageDefaults { registry: None, namespace: None, tag: None, dependencies: Vec::new() };

/// Of what is not a compose file.
pub(super) static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

/// Where a document comes from, and what is known beside it.
#[derive(Clone, Copy)]
pub(super) struct SearchContext<'a> {
    /// The file as origins name it.
    pub(super) file: &'a str,
    /// A person's own rules.
    pub(super) rules: &'a SearchRules,
    /// The version of the application, in a chart.
    pub(super) app_version: Option<&'a str>,
    /// What values of a chart say for all of its images.
    pub(super) defaults: &'a ImageDefaults,
    /// The variables of a compose file.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// For output of `helm template`: from which line on it comes from which template.
    pub(super) templates: &'a [(u64, String)],
    /// No result is more certain than this.
    pub(super) cap: Confidence,
    /// How lines of this text become lines of the file.
    pub(super) lines: LineOffset,
    /// How many documents this one is within.
    pub(super) level: u8,
}

/// What values of a chart say for all of its images, and which of its values belong to other charts.
#[derive(Debug, Default)]
pub(super) struct ImageDefaults {
    /// The registry of images that name none.
    pub(super) registry: Option<String>,
    /// The first part of the repository of images that have a name only.
    pub(super) namespace: Option<String>,
    /// The tag of images that have none.
    pub(super) tag: Option<String>,
    /// Names of the charts within.
    pub(super) dependencies: Vec<String>,
}

/// How the lines of a text become lines of its file.
#[derive(Clone, Copy, Debug)]
pub(super) enum LineOffset {
    /// This many lines come before it.
    After(u64),
    /// All of it is on one line.
    At(u64),
}

impl<'a> SearchContext<'a> {
    /// The context of a whole file.
    pub(super) const fn of_file(file: &'a str, rules: &'a SearchRules) -> Self {
        Self {
            file,
            rules,
            app_version: None,
            defaults: &NO_DEFAULTS,
            variables: &NO_VARIABLES,
            templates: &[],
            cap: Confidence::Sure,
            lines: LineOffset::After(0),
            level: 0,
        }
    }

    /// The origin of something on `line` of the text.
    pub(super) fn origin(&self, line: u64, object: Option<&str>, path: Option<String>) -> Provenance {
        let line = match self.lines {
            LineOffset::After(before) => before + line,
            LineOffset::At(line) => line,
        };
        let template = self.templates.iter().rev().find(|(from, _)| *from <= line).map(|(_, name)| name.as_str());
        Provenance {
            file: template.unwrap_or(self.file).to_owned(),
            // A line of rendered text is a line of no file.
            line: template.is_none().then_some(line),
            object: object.map(str::to_owned),
            path,
        }
    }
}
