//! A shared access signature: what it says of itself, and never what it is.

use std::fmt;

use jiff::Timestamp;
use url::form_urlencoded;

/// What a SAS can allow on a blob or container, as `sp` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permission {
    /// `r`: read content, properties and block lists.
    Read,
    /// `w` or `c`: write blocks and create a blob.
    Create,
    /// `w`: write blocks, and replace a blob.
    Write,
    /// `l`: list a container.
    List,
    /// `d`: delete a blob.
    Delete,
}

impl Permission {
    /// The letters of `sp`, of which one is enough.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Create => "wc",
            Self::Write => "w",
            Self::List => "l",
            Self::Delete => "d",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read (r)",
            Self::Create => "create (c) or write (w)",
            Self::Write => "write (w)",
            Self::List => "list (l)",
            Self::Delete => "delete (d)",
        })
    }
}

/// A shared access signature. It prints as what it allows; the token itself leaves only through `Sas::query`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sas(String);

impl Sas {
    /// Reads a token, with or without the `?` in front and quotes around; `None` unless it has `sv` and `sig`.
    pub fn parse(token: &str) -> Option<Self> {
        // `docker run --env-file` and systemd's files keep the quotes that a shell takes away.
        let bare = token.trim().trim_matches(['"', '\'']);
        let sas = Self(bare.trim_start_matches('?').to_owned());
        (sas.field("sv").is_some() && sas.field("sig").is_some()).then_some(sas)
    }

    /// The token, for the query of a request that is about to be sent.
    pub(crate) fn query(&self) -> &str {
        &self.0
    }

    /// The letters of `sp`; `None` where a stored access policy says what is allowed.
    pub fn permissions(&self) -> Option<String> {
        self.field("sp")
    }

    /// Whether it allows that; `None` where it does not say.
    pub fn allows(&self, permission: Permission) -> Option<bool> {
        Some(self.permissions()?.chars().any(|letter| permission.letters().contains(letter)))
    }

    /// When it ends (`se`), where it says so.
    pub fn expiry(&self) -> Option<Timestamp> {
        let text = self.field("se")?;
        // Azure also takes a bare date, which means its first moment in UTC.
        text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
    }

    /// Whether it is for HTTPS only.
    pub fn https_only(&self) -> bool {
        self.field("spr").is_some_and(|protocols| protocols == "https")
    }

    fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sas({})", self.permissions().as_deref().unwrap_or("by policy"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_allows_and_never_what_it_is() {
        let sas = Sas::parse("?sv=2024-11-04&sp=rl&sr=c&se=2026-01-02T03%3A04%3A05Z&spr=https&sig=c2VjcmV0").unwrap();
        assert_eq!(sas.allows(Permission::Read), Some(true));
        assert_eq!(sas.allows(Permission::Create), Some(false));
        assert_eq!(sas.expiry().unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert!(sas.https_only());
        assert_eq!(format!("{sas:?}"), "Sas(rl)");
        assert!(Sas::parse("sv=1").is_none() && Sas::parse("sig=1").is_none() && Sas::parse("").is_none());
        for quoted in ["'?sv=1&sig=x'", "\"sv=1&sig=x\""] {
            assert_eq!(Sas::parse(quoted).unwrap().query(), "sv=1&sig=x");
        }
        let by_policy = Sas::parse("sv=1&si=policy&sig=x").unwrap();
        assert_eq!((by_policy.allows(Permission::Read), by_policy.expiry()), (None, None));
    }
}
