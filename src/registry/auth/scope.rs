//! What a token is good for (distribution, "Docker Registry v2 token scope").

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Resources and what may be done to them, in one normal form, so that equal needs share a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Reading a repository.
    pub(crate) fn pull(repository: &str) -> Self {
        Self::default().with(&format!("repository:{repository}:pull"))
    }

    /// Reading and writing a repository.
    pub(crate) fn push(repository: &str) -> Self {
        Self::default().with(&format!("repository:{repository}:pull,push"))
    }

    /// These, and those that `text` lists: `TYPE:NAME:ACTION,… …`.
    #[must_use]
    pub(crate) fn with(mut self, text: &str) -> Self {
        for scope in text.split_ascii_whitespace() {
            // A name can hold colons (a host with a port), so the actions are what follows the last one.
            if let Some((resource, actions)) = scope.rsplit_once(':') {
                let own = self.0.entry(resource.to_owned()).or_default();
                own.extend(actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned));
            }
        }
        self
    }

    /// One text for each resource.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_needs_are_one_scope() {
        let scopes = Scopes::pull("a/b").with("repository:a/b:push,pull repository:h:5000/c:pull");
        assert_eq!(scopes, Scopes::push("a/b").with("repository:h:5000/c:pull"));
        assert_eq!(scopes.to_string(), "repository:a/b:pull,push repository:h:5000/c:pull");
    }
}
