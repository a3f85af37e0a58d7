//! The proxies of the environment, read as the HTTP clients of all rooms read them: to tell a person by which way a call
//! went, and of a variable that those clients would pass over in silence.

use std::{env, sync::OnceLock};

use hyper_util::client::proxy::matcher::Matcher;

use super::{Code, Fault};

/// What may name a proxy.
const VARIABLES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A variable that is set and names no proxy that can be used. Its value may hold a password and is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} names no proxy that can be used")]
pub struct Unusable {
    /// Which one.
    pub variable: &'static str,
}

impl Fault for Unusable {
    fn code(&self) -> Code {
        Code::UsageProxy
    }
}

/// Objects to the first variable that names no HTTP proxy: a client would go past the proxy that was meant.
pub(crate) fn check() -> Result<(), Unusable> {
    let bad = |variable: &&'static str| {
        let value = env::var_os(*variable).filter(|value| !value.is_empty());
        value.is_some_and(|value| !value.to_str().is_some_and(is_usable))
    };
    VARIABLES.into_iter().find(bad).map_or(Ok(()), |variable| Err(Unusable { variable }))
}

/// The proxy through which `url` is reached, without user and password.
pub(crate) fn on_the_way_to(url: &str) -> Option<String> {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    let found = MATCHER.get_or_init(Matcher::from_env).intercept(&url.parse().ok()?)?;
    Some(shown(found.uri()))
}

/// The way by a proxy as the end of a sentence; nothing where there is none.
pub(crate) fn told(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" by way of the proxy {proxy}, which the environment names"))
}

/// Socks is none of the ways that the clients were built with: they would speak HTTP to it.
fn is_usable(value: &str) -> bool {
    let found = Matcher::builder().all(value).build().intercept(&http::Uri::from_static("https://registry.test/"));
    found.is_some_and(|found| {
        matches!(found.uri().scheme_str(), Some("http" | "https")) && has_port_or_none(found.uri())
    })
}

/// A port that is not a number is let through by the parser, and another one is gone to.
fn has_port_or_none(proxy: &http::Uri) -> bool {
    let Some(authority) = proxy.authority() else { return false };
    authority.as_str() == authority.host() || authority.port_u16().is_some()
}

fn shown(proxy: &http::Uri) -> String {
    let authority = proxy.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", proxy.scheme_str().unwrap_or("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_http_proxy_is_not_usable() {
        for good in ["http://p:3128", "https://p", "p:3128", "http://ada:canary@10.0.0.1:3128/", "http://[::1]:1"] {
            assert!(is_usable(good), "{good}");
        }
        for bad in ["http//p:3128", "not a proxy", "http://", "socks5://p:1080", "ftp://p", "http://p:port"] {
            assert!(!is_usable(bad), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let matcher = Matcher::builder().all("http://ada:canary@p.example:3128").build();
        let found = matcher.intercept(&http::Uri::from_static("https://registry.test/")).unwrap();
        assert_eq!(shown(found.uri()), "http://p.example:3128");
    }
}
