//! URLs as people may see them.

use std::fmt;

use url::Url;

/// A URL that prints without its secrets: no user, no password, no fragment, and of the query only the keys.
///
/// Storage redirects carry signatures in their query and upload locations carry state; neither belongs in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(Url);

impl Redacted {
    /// Hides what `url` must not show.
    pub fn new(url: &Url) -> Self {
        Self(url.clone())
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        for (at, (key, _)) in self.0.query_pairs().enumerate() {
            write!(f, "{}{key}=…", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_printed() {
        let url: Url = "https://user:word@h.example:444/p/q?sig=geheim&se=2026#frag".parse().unwrap();
        assert_eq!(Redacted::new(&url).to_string(), "https://h.example:444/p/q?sig=…&se=…");
        assert!(!format!("{:?}", Redacted::new(&url)).contains("geheim"));
    }
}
