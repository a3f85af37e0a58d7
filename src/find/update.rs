//! Bringing a list up to date: what a person wrote stays, what a search wrote follows the new search.
//!
//! A line is a search's if it ends with the comment that a search writes. Two decisions of a person are kept in such lines:
//! one that was commented out stays out, and a guess that was taken by removing its `#` stays in.

use std::collections::BTreeSet;

use super::{
    finding::Confidence,
    inventory::{FoundArtifact, Inventory, MARK},
    lists::uncommented,
};

/// A list that was brought up to date, and what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdatedList {
    /// The new text.
    pub text: String,
    /// Artifacts that are new in the list.
    pub appeared: Vec<String>,
    /// Artifacts that are no longer found.
    pub went: Vec<String>,
}

/// What a line of the old list is.
enum OldLine<'a> {
    /// A person's: kept as it is. With the reference it names, if any.
    Own(Option<&'a str>),
    /// A search's, in force.
    Taken(&'a str),
    /// A search's, commented out.
    Out(&'a str),
    /// A heading, or a place that could not be read: written anew.
    Generated,
}

fn classify(line: &str) -> OldLine<'_> {
    let trimmed = line.trim();
    if trimmed.starts_with("# Guesses: ") || trimmed.starts_with("# Not readable: ") {
        return OldLine::Generated;
    }
    let Some((before, _)) = trimmed.split_once(MARK) else {
        return OldLine::Own(Some(uncommented(trimmed)).filter(|text| !text.is_empty()));
    };
    match before.trim().strip_prefix('#').map(str::trim) {
        None => OldLine::Taken(before.trim()),
        Some(text) if text.contains(' ') => OldLine::Generated,
        Some(text) => OldLine::Out(text),
    }
}

/// Brings the list `old` up to `inventory`.
pub fn update(old: &str, inventory: &Inventory) -> UpdatedList {
    let lines: Vec<(&str, OldLine<'_>)> = old.lines().map(|line| (line, classify(line))).collect();
    let names = |wanted: fn(&OldLine<'_>) -> Option<String>| -> BTreeSet<String> {
        lines.iter().filter_map(|(_, line)| wanted(line)).collect()
    };
    let own = names(|line| match line {
        OldLine::Own(Some(text)) => Some(in_full(text)),
        _ => None,
    });
    let taken = names(|line| match line {
        OldLine::Taken(text) => Some(in_full(text)),
        _ => None,
    });
    let out = names(|line| match line {
        OldLine::Out(text) => Some(in_full(text)),
        _ => None,
    });
    let found: BTreeSet<String> = inventory.artifacts.iter().map(|artifact| artifact.reference.to_string()).collect();

    let mut text: String = String::new();
    for (line, kind) in &lines {
        if matches!(kind, OldLine::Own(_)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    let mut text = text.trim_end().to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let (mut appeared, mut shown) =
        (Vec::new(), Inventory { unresolved: inventory.unresolved.clone(), ..Inventory::default() });
    for artifact in &inventory.artifacts {
        let name = artifact.reference.to_string();
        if own.contains(&name) {
            continue;
        }
        // A guess is written commented out, and so is a find that a person has commented out.
        let is_in = taken.contains(&name) || (artifact.confidence < Confidence::Guess && !out.contains(&name));
        if is_in && !taken.contains(&name) {
            appeared.push(name);
        }
        shown.artifacts.push(FoundArtifact {
            confidence: if is_in { artifact.confidence.min(Confidence::Likely) } else { Confidence::Guess },
            ..artifact.clone()
        });
    }
    text.push_str(&shown.to_list());
    let went = taken.into_iter().filter(|name| !found.contains(name)).collect();
    UpdatedList { text, appeared, went }
}

fn in_full(text: &str) -> String {
    text.parse::<crate::oci::Reference>().map_or_else(|_| text.to_owned(), |reference| reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::{SearchRules, Searcher};

    fn inventory(images: &[&str]) -> Inventory {
        let rules = SearchRules::default();
        let mut search = Searcher::new(&rules);
        let items: Vec<String> = images.iter().map(|image| format!("  - name: a\n    image: {image}\n")).collect();
        let text = format!("args: [\"--x=quay.io/guess/it:1\"]\ncontainers:\n{}", items.concat());
        search.text("web.yaml", &text);
        Inventory::of(search.finish(), &rules)
    }

    #[test]
    fn what_a_person_wrote_stays_and_the_rest_follows_the_search() {
        let first = inventory(&["nginx:1", "redis:7"]).to_list();
        let edited = format!("# ours\nquay.io/own/tool:1  # needed\n\n{first}");
        let updated = update(&edited, &inventory(&["nginx:2", "redis:7"]));
        assert_eq!(updated.appeared, ["docker.io/library/nginx:2"]);
        assert_eq!(updated.went, ["docker.io/library/nginx:1"]);
        assert!(
            updated.text.starts_with("# ours\nquay.io/own/tool:1  # needed\n\ndocker.io/library/nginx:2  # find: sure")
        );
        assert!(!updated.text.contains("nginx:1"));
        let again = update(&updated.text, &inventory(&["nginx:2", "redis:7"]));
        assert_eq!((again.text, again.appeared.len(), again.went.len()), (updated.text, 0, 0));
    }

    #[test]
    fn decisions_of_a_person_in_generated_lines_are_kept() {
        let first = inventory(&["nginx:1", "redis:7"]).to_list();
        let edited =
            first.replace("docker.io/library/redis", "# docker.io/library/redis").replace("# quay.io", "quay.io");
        let updated = update(&edited, &inventory(&["nginx:1", "redis:7"]));
        assert!(updated.text.contains("\n# docker.io/library/redis:7"), "{}", updated.text);
        assert!(updated.text.contains("\nquay.io/guess/it:1  # find: guess"), "{}", updated.text);
        assert!(updated.appeared.is_empty() && updated.went.is_empty());
    }
}
