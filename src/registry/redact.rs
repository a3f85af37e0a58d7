//! What people may see: URLs without their secrets, and a peer's words without ours.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use url::{Url, form_urlencoded};

/// Forms of secrets that are remembered; a client that runs for weeks has new tokens all the time.
const MAX_FORMS: usize = 1024;

/// So many characters of a secret give it away.
const GIVEAWAY: usize = 16;

/// A secret shorter than this is found as a whole word only, or it would be found in everything.
const SHORTEST_PART: usize = 4;

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

/// The credentials that a client has used, so that a peer's answer that repeats them is not printed as it is.
#[derive(Default)]
pub(super) struct Secrets(Mutex<VecDeque<SecretForm>>);

/// One way in which a secret may be written.
#[derive(Clone, PartialEq, Eq)]
struct SecretForm {
    text: String,
    is_whole_word: bool,
}

impl Secrets {
    fn forms(&self) -> MutexGuard<'_, VecDeque<SecretForm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the credentials in an `Authorization`.
    pub(super) fn keep_authorization(&self, header: &HeaderValue) {
        let Some((scheme, text)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else { return };
        self.keep(text, false);
        let pair = STANDARD.decode(text).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
        if let Some(pair) = pair.and_then(|pair| String::from_utf8(pair).ok())
            && let Some((user, password)) = pair.split_once(':')
        {
            self.keep(&pair, false);
            self.keep(password, false);
            // Names of users are words; only the word itself is hidden.
            self.keep(user, true);
        }
    }

    /// Remembers `secret` in all the forms that servers write.
    pub(super) fn keep(&self, secret: &str, is_whole_word: bool) {
        let is_known = |forms: &VecDeque<SecretForm>, text: &str| forms.iter().any(|form| form.text == text);
        let mut forms = self.forms();
        if secret.is_empty() || is_known(&forms, secret) {
            return;
        }
        for text in written(secret) {
            if !text.is_empty() && !is_known(&forms, &text) {
                let is_whole_word = is_whole_word || text.chars().count() < SHORTEST_PART;
                forms.push_back(SecretForm { text, is_whole_word });
            }
        }
        let surplus = forms.len().saturating_sub(MAX_FORMS);
        forms.drain(..surplus);
    }

    /// `text` with every secret replaced.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut forms: Vec<SecretForm> = self.forms().iter().cloned().collect();
        // One may be a part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
        let mut shown = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let before = shown.chars().next_back();
            if let Some(length) = forms.iter().filter_map(|form| form.repeated(before, rest)).max() {
                shown.push('…');
                rest = &rest[length..];
            } else {
                shown.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        shown
    }
}

impl SecretForm {
    /// How much of the secret `text` begins with, if that is enough to give it away: a server may cut what it repeats.
    fn repeated(&self, before: Option<char>, text: &str) -> Option<usize> {
        let same = text.chars().zip(self.text.chars()).take_while(|(a, b)| a == b);
        let (count, length) = same.fold((0, 0), |(count, length), (c, _)| (count + 1, length + c.len_utf8()));
        let is_whole = length == self.text.len();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_part = is_word(before) || is_word(text[length..].chars().next());
        let gives_away = if self.is_whole_word { is_whole && !is_part } else { is_whole || count >= GIVEAWAY };
        gives_away.then_some(length)
    }
}

/// A secret as it is, encoded for URLs, in base64, and escaped for JSON and HTML.
fn written(secret: &str) -> Vec<String> {
    const RFC_3986: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const SCRIPT: &AsciiSet = &RFC_3986.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
    let mut forms = vec![secret.to_owned(), form_urlencoded::byte_serialize(secret.as_bytes()).collect()];
    forms.extend([NON_ALPHANUMERIC, RFC_3986, SCRIPT].map(|set| utf8_percent_encode(secret, set).to_string()));
    let lower: Vec<String> = forms[1..].iter().map(|form| lower_escapes(form)).collect();
    forms.extend(lower);
    for engine in [STANDARD, URL_SAFE] {
        let coded = engine.encode(secret);
        forms.push(coded.trim_end_matches('=').to_owned());
        forms.push(form_urlencoded::byte_serialize(coded.as_bytes()).collect());
        forms.push(coded);
    }
    let json = serde_json::Value::from(secret).to_string();
    forms.push(json[1..json.len() - 1].to_owned());
    forms.push(secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
    forms
}

/// The same with the digits of `%XX` in lower case.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars() {
        out.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
        digits = if c == '%' { 2 } else { usize::saturating_sub(digits, 1) };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_in_every_form() {
        let secrets = Secrets::default();
        let pair = STANDARD.encode("ci:p&ss/w\"rd ü");
        secrets.keep_authorization(&format!("Basic {pair}").parse().unwrap());
        secrets.keep_authorization(&"Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc".parse().unwrap());
        for (said, shown) in [
            (format!("Authorization: Basic {pair}"), "Authorization: Basic …"),
            (format!("basic {}", pair.trim_end_matches('=')), "basic …"),
            ("user ci, password p&ss/w\"rd ü!".to_owned(), "user …, password …!"),
            ("circle, cis and dci".to_owned(), "circle, cis and dci"),
            ("ci:p&ss/w\"rd ü".to_owned(), "…"),
            ("p%26ss%2Fw%22rd+%C3%BC p%26ss%2fw%22rd%20%c3%bc".to_owned(), "… …"),
            ("p&amp;ss/w&quot;rd ü and p&ss/w\\\"rd ü".to_owned(), "… and …"),
            (STANDARD.encode("p&ss/w\"rd ü"), "…"),
            ("token eyJhbGciOiJIUzI1NiJ9.e30.abc".to_owned(), "token …"),
            ("token eyJhbGciOiJIUzI1NiJ9.e… is bad".to_owned(), "token …… is bad"),
        ] {
            assert_eq!(secrets.hide(&said), shown, "{said}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_no_text_is_too_strange() {
        let secrets = Secrets::default();
        for number in 0..2 * MAX_FORMS {
            secrets.keep(&format!("secret-{number}"), false);
        }
        assert_eq!(secrets.forms().len(), MAX_FORMS);
        secrets.keep("üü", false);
        secrets.keep("", false);
        assert_eq!(secrets.hide("üüü üü secret-0 secret-2047"), "üüü … secret-0 …");
    }

    #[test]
    fn secrets_of_a_url_are_not_printed() {
        let url: Url = "https://user:word@h.example:444/p/q?sig=geheim&se=2026#frag".parse().unwrap();
        assert_eq!(Redacted::new(&url).to_string(), "https://h.example:444/p/q?sig=…&se=…");
        assert!(!format!("{:?}", Redacted::new(&url)).contains("geheim"));
    }
}
