//! Who may do what: the file of `--policy`.
//!
//! ```yaml
//! users:
//!   ann: { pull: "**", push: "team/**", delete: "team/scratch/*" }
//!   "*": { pull: "public/**" }      # every user who has logged in
//! anonymous: { pull: "public/**" }
//! ```
//!
//! What no line allows is refused. In a pattern `*` stands for any characters of one part of a name, `**` for one part or
//! more. Who may push may pull, for a push asks which blobs are there.

use std::{collections::HashMap, fs, path::Path};

use serde_json::{Map, Value};

use super::error::ServerError;

/// What a request does to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    pub(super) const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// Its name in policies and in the scopes of tokens.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// Rights by user.
#[derive(Debug, Default)]
pub(super) struct Policy {
    users: HashMap<String, Rights>,
    anonymous: Rights,
}

type Rights = HashMap<Action, Vec<Pattern>>;

/// Stands for every user who has logged in.
const EVERYBODY: &str = "*";

impl Policy {
    /// Reads the file; an error names every problem in it.
    pub(super) fn read(path: &Path) -> Result<Self, ServerError> {
        let bad = |reason: String| ServerError::Credentials { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::parse(&text).map_err(|problems| bad(problems.join("; ")))
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let whole: Value = serde_saphyr::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mut problems = Vec::new();
        let mut policy = Self::default();
        for (key, value) in map("the file", &whole, &mut problems) {
            match key.as_str() {
                "anonymous" => policy.anonymous = rights("anonymous", value, &mut problems),
                "users" => {
                    for (user, value) in map("users", value, &mut problems) {
                        policy.users.insert(user.clone(), rights(user, value, &mut problems));
                    }
                }
                other => problems.push(format!("{other:?} is not known here; write users or anonymous")),
            }
        }
        if policy.anonymous.keys().any(|action| *action != Action::Pull) {
            problems.push("anonymous: may pull only".to_owned());
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// Whether `user` (`None`: not logged in) may do it.
    pub(super) fn allows(&self, user: Option<&str>, action: Action, repository: &str) -> bool {
        let own = user.map(|user| [self.users.get(user), self.users.get(EVERYBODY)]).into_iter().flatten().flatten();
        let granting = |rights: &Rights| {
            let granted = |by: Action| rights.get(&by).into_iter().flatten().any(|pattern| pattern.matches(repository));
            granted(action) || (action == Action::Pull && granted(Action::Push))
        };
        own.chain([&self.anonymous]).any(granting)
    }

    /// Whether a client that has not logged in may do anything at all.
    pub(super) fn has_anonymous(&self) -> bool {
        !self.anonymous.is_empty()
    }

    /// The users that it names.
    pub(super) fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str).filter(|user| *user != EVERYBODY)
    }
}

fn map<'a>(what: &str, value: &'a Value, problems: &mut Vec<String>) -> Vec<(&'a String, &'a Value)> {
    if !value.is_object() {
        problems.push(format!("{what}: is not a mapping"));
    }
    value.as_object().into_iter().flat_map(Map::iter).collect()
}

fn rights(user: &str, value: &Value, problems: &mut Vec<String>) -> Rights {
    let mut rights = Rights::new();
    for (key, value) in map(user, value, problems) {
        let Some(action) = Action::ALL.into_iter().find(|action| action.name() == key) else {
            problems.push(format!("{user}: {key:?} is not known here; write pull, push or delete"));
            continue;
        };
        let texts = match value {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        for text in texts {
            match text.as_str().ok_or("a pattern is text").and_then(Pattern::parse) {
                Ok(pattern) => rights.entry(action).or_default().push(pattern),
                Err(problem) => problems.push(format!("{user}: {key}: {text}: {problem}")),
            }
        }
    }
    rights
}

/// A pattern of repository names.
#[derive(Debug)]
struct Pattern(Vec<String>);

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Err("matches names of one part only; write \"**\" for every repository");
        }
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-*".contains(&byte);
        let good =
            |part: &String| !part.is_empty() && part.bytes().all(plain) && (part == "**" || !part.contains("**"));
        if parts.iter().all(good) { Ok(Self(parts)) } else { Err("is not a pattern of repository names") }
    }

    fn matches(&self, repository: &str) -> bool {
        let names: Vec<&str> = repository.split('/').collect();
        // Which parts of the name the patterns so far can have taken: no pattern makes this more than parts × parts.
        let mut ends = vec![false; names.len() + 1];
        ends[0] = true;
        for pattern in &self.0 {
            let mut next = vec![false; names.len() + 1];
            for (index, name) in names.iter().enumerate() {
                let begun = ends[index] || (pattern == "**" && next[index]);
                next[index + 1] = begun && (pattern == "**" || part_matches(pattern, name));
            }
            ends = next;
        }
        ends[names.len()]
    }
}

/// Whether `*` in `pattern` can stand for what is left of `name`: the first match of each piece is the best one.
fn part_matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        let Some(at) = name.find(piece) else { return false };
        name = &name[at + piece.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_parts_and_never_more() {
        for (pattern, name, matches) in [
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("team/*", "team/a", true),
            ("team/*", "team/a/b", false),
            ("team/*", "team", false),
            ("team/**", "team/a/b", true),
            ("team/**", "team", false),
            ("team/**", "teams/a", false),
            ("**/x", "a/b/x", true),
            ("**/x", "x", false),
            ("a/**/z", "a/b/c/z", true),
            ("a*c-*", "abc-d", true),
            ("a*c-*", "abx-c", false),
            ("*a*a", "xa", false),
            ("exact", "exact", true),
            ("exact", "exacts", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_no_line_allows_is_refused() {
        let text = "users:\n  ann: {push: 'team/**', delete: [team/x]}\n  '*': {pull: ['lib/*']}\nanonymous: {pull: 'open/**'}";
        let policy = Policy::parse(text).unwrap();
        for (user, action, repository, allowed) in [
            (Some("ann"), Action::Push, "team/a", true),
            (Some("ann"), Action::Pull, "team/a", true),
            (Some("ann"), Action::Delete, "team/a", false),
            (Some("ann"), Action::Delete, "team/x", true),
            (Some("ann"), Action::Push, "lib/a", false),
            (Some("bob"), Action::Pull, "lib/a", true),
            (Some("bob"), Action::Pull, "team/a", false),
            (Some("bob"), Action::Pull, "open/a", true),
            (Some("*"), Action::Push, "team/a", false),
            (None, Action::Pull, "open/a", true),
            (None, Action::Pull, "lib/a", false),
            (None, Action::Push, "open/a", false),
        ] {
            assert_eq!(policy.allows(user, action, repository), allowed, "{user:?} {action:?} {repository}");
        }
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let text = "users:\n  ann: {pul: x, push: '*'}\n  bob: 7\nanonymous: {push: 'a/**'}\nuser: {}";
        let problems = Policy::parse(text).unwrap_err().join("\n");
        for part in ["\"pul\"", "ann: push: \"*\"", "bob: is not a mapping", "may pull only", "\"user\" is not known"] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
        assert!(Policy::parse("- a").is_err() && Policy::parse(": :").is_err());
    }
}
