//! What a token was asked for: scopes of the Docker registry's token protocol (`repository:NAME:pull,push`).

use super::policy::Action;

/// Scopes in one request for a token.
const MAX_SCOPES: usize = 100;

/// What a token is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenScopes {
    repositories: Vec<(String, Vec<Action>)>,
    catalog: bool,
}

impl TokenScopes {
    /// Of the parameters `scope` of a request, each of which may hold several. What is not understood grants nothing.
    pub(super) fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut scopes = Self::default();
        for text in texts.flat_map(|text| text.split(' ')).take(MAX_SCOPES) {
            let Some((kind, name, actions)) = text
                .split_once(':')
                .and_then(|(kind, rest)| rest.rsplit_once(':').map(|(name, list)| (kind, name, list)))
            else {
                continue;
            };
            match kind {
                "registry" => scopes.catalog |= name == "catalog" && actions == "*",
                "repository" => {
                    let asked =
                        |action: &Action| actions.split(',').any(|asked| asked == "*" || asked == action.name());
                    let actions = Action::ALL.into_iter().filter(asked).collect();
                    scopes.repositories.push((name.to_owned(), actions));
                }
                _ => {}
            }
        }
        scopes
    }

    /// Whether it was asked for this.
    pub(super) fn has(&self, action: Action, repository: &str) -> bool {
        self.repositories.iter().any(|(name, actions)| name == repository && actions.contains(&action))
    }

    /// Whether it was asked for the list of all repositories.
    pub(super) const fn has_catalog(&self) -> bool {
        self.catalog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_what_it_was_asked_for() {
        let texts = ["repository:a/b:pull,push repository:c:*", "registry:catalog:*", "nonsense", "repository:d:fly"];
        let scopes = TokenScopes::parse(texts.into_iter());
        for (action, repository, has) in [
            (Action::Pull, "a/b", true),
            (Action::Push, "a/b", true),
            (Action::Delete, "a/b", false),
            (Action::Delete, "c", true),
            (Action::Pull, "a", false),
            (Action::Pull, "d", false),
        ] {
            assert_eq!(scopes.has(action, repository), has, "{action:?} {repository}");
        }
        assert!(scopes.has_catalog() && !TokenScopes::parse(["registry:catalog:pull"].into_iter()).has_catalog());
    }
}
