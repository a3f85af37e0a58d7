//! `WWW-Authenticate`: what a registry wants (RFC 9110, 11.6.1; distribution's token authentication).

use super::super::quoted;

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with every call.
    Basic,
    /// A token of a token service.
    Bearer(Bearer),
}

/// Where a token is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The token service's URL, as text.
    pub realm: String,
    /// What the service calls the registry.
    pub service: Option<String>,
    /// What the refused call needs.
    pub scope: Option<String>,
}

impl Challenge {
    /// The best challenge among the `WWW-Authenticate` lines of an answer: a token, else a password.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut basic = None;
        for text in lines.into_iter().map(String::from_utf8_lossy) {
            for (scheme, parameters) in challenges(&text) {
                let get = |wanted: &str| {
                    parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
                };
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = get("realm")
                {
                    return Some(Self::Bearer(Bearer { realm, service: get("service"), scope: get("scope") }));
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// Schemes and their parameters, of one header that may hold several challenges.
fn challenges(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let between = [' ', '\t', ',', ';'];
    let mut rest = text.trim_start_matches(between);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '=', ',', ';']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(after) = after.trim_start().strip_prefix('=') {
            // A string without its end is not a value that the registry meant.
            let Some((value, after)) = quoted::value(after.trim_start(), &between) else { break };
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches(between);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(texts: &[&str]) -> Option<Challenge> {
        Challenge::parse(texts.iter().map(|text| text.as_bytes()))
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer(Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) })
    }

    #[test]
    fn challenges_of_registries_are_read() {
        assert_eq!(
            parse(&[r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:a/b:pull,push""#]),
            Some(bearer("https://a.example/token", Some("r.example"), Some("repository:a/b:pull,push")))
        );
        assert_eq!(
            parse(&[r#"bearer Realm=https://a , SERVICE = "x\"y""#]),
            Some(bearer("https://a", Some("x\"y"), None))
        );
        assert_eq!(parse(&[r#"Basic realm="x, Bearer realm=y""#]), Some(Challenge::Basic));
        assert_eq!(parse(&[r#"Basic realm="x", Bearer realm="y""#]), Some(bearer("y", None, None)));
        assert_eq!(parse(&["Basic", r#"Bearer realm="y""#]), Some(bearer("y", None, None)));
        assert_eq!(parse(&["Negotiate YII=, Bearer\trealm=\"y\";service=ü"]), Some(bearer("y", Some("ü"), None)));
        for none in ["", "Bearer realm=\"y", "Bearer service=x", "Negotiate", "=,=", "Digest realm=x"] {
            assert_eq!(parse(&[none]), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(text in "[ -~]{0,60}") {
            parse(&[&text]);
        }
    }
}
