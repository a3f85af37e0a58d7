//! A peer's own words about a failure, whatever form they have.

use std::fmt;

use serde_json::{Map, Value};

use crate::oci::error_code::ErrorCode;

use super::redact::Secrets;

/// Longest piece of a peer's words that is repeated, in characters.
const LONGEST: usize = 300;

/// What a Go program answers to a path that it does not know.
const NO_ROUTE: &str = "404 page not found";

/// Most pieces that are repeated.
const MOST: usize = 8;

/// Members by which registries, proxies and token services say what is wrong, in the order in which they are shown.
const SAYING: [&str; 11] = [
    "error",
    "title",
    "message",
    "msg",
    "reason",
    "description",
    "error_description",
    "errorMessage",
    "detail",
    "details",
    "errors",
];

/// What a peer said about a failure: the error envelope of distribution-spec 1.1, "Error Codes", or any other document or
/// text. May be empty.
#[derive(Debug, Default)]
pub struct Detail {
    said: Vec<(Option<ErrorCode>, String)>,
    /// It came as a page for people.
    is_page: bool,
    /// It is that of the software "distribution" about a path that it does not know.
    is_no_route: bool,
}

impl Detail {
    /// Reads the body of an answer; `secrets` are hidden in it.
    pub(super) fn parse(body: &[u8], secrets: &Secrets) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut said = Vec::new();
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => match object.get("errors") {
                Some(Value::Array(errors)) if !errors.is_empty() => said.extend(errors.iter().map(item)),
                _ => said.push((None, words_of(&object))),
            },
            Ok(value) => said.push((None, words(&value))),
            Err(_) if text.starts_with('<') => said.push((None, marked_up(text))),
            // What is not text says nothing.
            Err(_) if text.contains([char::REPLACEMENT_CHARACTER, '\0']) => {}
            Err(_) => said.push((None, text.to_owned())),
        }
        let mut shown: Vec<(Option<ErrorCode>, String)> = Vec::new();
        for (code, words) in said {
            // In this order: a secret that is cut off is no longer found. What is far beyond the cut need not be looked at.
            let words: String = words.chars().take(16 * LONGEST).collect();
            let one = (code, plain(&secrets.hide(&words)));
            // Some registries say the same of every layer.
            if (one.0.is_some() || !one.1.is_empty()) && shown.len() < MOST && !shown.contains(&one) {
                shown.push(one);
            }
        }
        Self { said: shown, is_page: starts_as_page(text), is_no_route: false }
    }

    /// With words of ours after the peer's.
    pub(super) fn and(mut self, ours: &str) -> Self {
        self.said.push((None, ours.to_owned()));
        self
    }

    /// As the words of an answer with this `Docker-Distribution-Api-Version`.
    pub(super) fn by_version(mut self, version: Option<&str>) -> Self {
        self.is_no_route =
            version == Some("registry/2.0") && matches!(&self.said[..], [(None, text)] if text == NO_ROUTE);
        self
    }

    /// Whether "distribution", or a registry made of it, says that it does not know the path.
    pub(super) const fn is_no_route(&self) -> bool {
        self.is_no_route
    }

    /// Whether the words were those of a web page.
    pub(super) const fn is_page(&self) -> bool {
        self.is_page
    }

    /// Whether one of the codes is `code`.
    pub fn has(&self, code: &ErrorCode) -> bool {
        self.said.iter().any(|(own, _)| own.as_ref() == Some(code))
    }

    /// Whether the peer answered as a registry does, with a code of the specification's.
    pub(super) fn is_of_a_registry(&self) -> bool {
        self.said.iter().any(|(code, _)| matches!(code, Some(code) if !matches!(code, ErrorCode::Other(_))))
    }

    /// Whether the registry gave no code at all, or only the one that says as much.
    pub(super) fn is_vague(&self) -> bool {
        let says_nothing = |code: &ErrorCode| matches!(code, ErrorCode::Other(text) if text == "UNKNOWN");
        self.said.iter().all(|(code, _)| code.as_ref().is_none_or(says_nothing))
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (code, words) in &self.said {
            let name = code.as_ref().and_then(|code| serde_json::to_value(code).ok());
            let name = name.as_ref().and_then(Value::as_str).map(plain).unwrap_or_default();
            let space = if name.is_empty() || words.is_empty() { "" } else { " " };
            write!(f, "; {name}{space}{words}")?;
        }
        Ok(())
    }
}

fn starts_as_page(text: &str) -> bool {
    let begins = |tag: &str| text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    ["<!doctype html", "<html"].into_iter().any(begins)
}

/// One item of an error envelope.
fn item(value: &Value) -> (Option<ErrorCode>, String) {
    let code = value.get("code").filter(|code| code.is_string());
    match (code, value) {
        (Some(code), Value::Object(object)) => {
            let mut object = object.clone();
            object.remove("code");
            (serde_json::from_value(code.clone()).ok(), words_of(&object))
        }
        _ => (None, words(value)),
    }
}

/// The words of a JSON value; empty if it says nothing.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(object) => words_of(object),
        Value::Array(values) => {
            let all: Vec<String> = values.iter().take(MOST).map(words).filter(|words| !words.is_empty()).collect();
            all.join(", ")
        }
        value => value.to_string(),
    }
}

fn words_of(object: &Map<String, Value>) -> String {
    let number = ["status", "code", "statusCode"].iter().filter_map(|key| object.get(*key)).find(|at| !at.is_null());
    let said = SAYING.iter().filter_map(|key| object.get(*key)).map(|value| match value {
        // The specification leaves the form of `detail` open; its names say as much as its values.
        Value::Object(object) if !SAYING.iter().any(|key| object.contains_key(*key)) => {
            if object.is_empty() {
                String::new()
            } else {
                value.to_string()
            }
        }
        value => words(value),
    });
    let mut all: Vec<String> = Vec::new();
    for words in number.map(words).into_iter().chain(said) {
        if !words.is_empty() && !all.contains(&words) {
            all.push(words);
        }
    }
    let is_number_alone = number.is_some() && all.len() < 2;
    if (all.is_empty() || is_number_alone) && !object.is_empty() {
        // It says something in words of its own.
        let unsaid: Map<String, Value> =
            object.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
        let known = |key: &String| SAYING.contains(&key.as_str());
        if !unsaid.is_empty() && !unsaid.keys().all(known) {
            return Value::Object(unsaid).to_string();
        }
    }
    all.join(" ")
}

/// What a document in HTML or XML says: its title, its first heading, an error of S3 or Azure, or its text.
fn marked_up(text: &str) -> String {
    let code = element(text, "code").filter(|_| text.contains("<Error"));
    let parts: Vec<String> = match code {
        Some(code) => [Some(code), element(text, "message")].into_iter().flatten().collect(),
        None => ["title", "h1", "body"].iter().find_map(|name| element(text, name)).into_iter().collect(),
    };
    if parts.is_empty() { without_tags(text) } else { parts.join(": ") }
}

/// The text in the first element of that name, whatever its case.
fn element(text: &str, name: &str) -> Option<String> {
    // Positions are those of `text`: only letters of ASCII change.
    let lower = text.to_ascii_lowercase();
    let opening = format!("<{name}");
    let begin = lower.match_indices(&opening).map(|(at, _)| at + opening.len());
    let begin = begin.filter(|at| lower[*at..].starts_with(['>', ' ', '\t', '\n', '\r'])).min()?;
    let inner = begin + lower[begin..].find('>')? + 1;
    let end = lower[inner..].find(&format!("</{name}")).map_or(text.len(), |length| inner + length);
    Some(without_tags(&text[inner..end]).trim().to_owned()).filter(|words| !words.is_empty())
}

fn without_tags(text: &str) -> String {
    let mut shown = String::new();
    for piece in text.split('<') {
        // The first piece has no tag before it.
        let words =
            if shown.is_empty() && text.starts_with(piece) { piece } else { piece.split_once('>').map_or("", |p| p.1) };
        shown.push_str(words);
        shown.push(' ');
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    entities.iter().fold(shown, |text, (entity, sign)| text.replace(entity, sign))
}

/// A peer's words on one line, without what moves a terminal or turns text round, and of bounded length.
fn plain(text: &str) -> String {
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::new();
    for word in text.split(|c: char| c.is_whitespace() || moves(c)).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(body: &str) -> String {
        Detail::parse(body.as_bytes(), &Secrets::default()).to_string()
    }

    #[test]
    fn the_envelope_is_repeated_with_its_codes_and_without_control_characters() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way","detail":{"a":1}},{"code":"ODD"},
            {"code":"ODD"}]}"#;
        let detail = Detail::parse(body, &Secrets::default());
        assert_eq!(detail.to_string(), "; DENIED no [31m way {\"a\":1}; ODD");
        assert!(detail.has(&ErrorCode::Denied) && !detail.is_vague() && detail.is_of_a_registry());
        for vague in ["<html>", "no", "", r#"{"errors":[{"code":"UNKNOWN","message":"unknown error"}]}"#] {
            assert!(Detail::parse(vague.as_bytes(), &Secrets::default()).is_vague(), "{vague}");
        }
    }

    #[test]
    fn words_survive_in_every_form() {
        for (body, shown) in [
            (r#"{"errors":[{"status":404,"message":"No such image"}]}"#, "; 404 No such image"),
            (r#"{"errors":[{"code":404,"message":"No such image","detail":null}]}"#, "; 404 No such image"),
            (r#"{"errors":["one","two","one"]}"#, "; one; two"),
            (r#"{"errors":{"code":"X","message":"m"}}"#, "; X m"),
            (r#"{"errors":[],"message":"m"}"#, "; m"),
            (r#"{"message":"401 Unauthorized"}"#, "; 401 Unauthorized"),
            (r#"{"message":{"base":["is locked"]}}"#, r#"; {"base":["is locked"]}"#),
            (r#"{"detail":"incorrect username"}"#, "; incorrect username"),
            (r#"{"details":"incorrect username"}"#, "; incorrect username"),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "; invalid_grant expired"),
            (r#"{"error":{"code":7,"message":"quota"}}"#, "; 7 quota"),
            (r#"{"type":"about:blank","title":"Gone","status":410,"detail":"moved"}"#, "; 410 Gone moved"),
            (r#"{"why":"because"}"#, r#"; {"why":"because"}"#),
            (r#""just text""#, "; just text"),
            ("not here,\r\n  sorry\u{202e}\u{7}\n", "; not here, sorry"),
            ("\u{feff}<!DOCTYPE html><html><HEAD><Title lang=en>Sign &amp; go</Title>", "; Sign & go"),
            ("<html><body><h1>502</h1> Bad <b>Gateway</b></body>", "; 502"),
            ("<html>\n<p>Bad <b>Gateway</b></p>", "; Bad Gateway"),
            ("<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>", "; NoSuchKey: gone"),
            ("{}", ""),
            ("[]", ""),
            ("null", ""),
            ("", ""),
            ("\u{0}\u{1}", ""),
        ] {
            assert_eq!(said(body), shown, "{body}");
        }
        let long = said(&"word ".repeat(1000));
        assert!(long.chars().count() < LONGEST + 5 && long.ends_with('…'), "{long}");
        let many = serde_json::json!({"errors": (0..99).map(|n| n.to_string()).collect::<Vec<_>>()}).to_string();
        assert_eq!(said(&many).matches(';').count(), MOST);
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(text in "\\PC{0,40}", tags in "[<>/&;a-hTt\"{}:, ]{0,40}") {
            for body in [text.clone(), tags.clone(), format!("<title{tags}"), format!("<{text}")] {
                said(&body);
            }
        }
    }
}
