//! Values as Helm, which is written in Go, writes them into JSON. What it makes of a chart must be made here to the byte, or the digest is
//! another one.
//!
//! Facts: `encoding/json` (escapes), `sigs.k8s.io/yaml` (numbers and booleans become text where text is wanted), YAML 1.1 as
//! go-yaml resolves it.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    sync::OnceLock,
};

use regex::Regex;
use serde_json::{Number, Value};

use crate::find::tree::{Id, Style, Value as YamlValue, ValueTree};

/// Most values of a list or map that is taken over whole.
const MAX_VALUES: usize = 100_000;

/// What a plain scalar of YAML 1.1 is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
}

impl Scalar {
    pub(super) fn of(text: &str, style: Style) -> Self {
        if style != Style::Plain {
            return Self::Text(text.to_owned());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Self::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Self::Float(f64::NEG_INFINITY),
            _ => integer(text).or_else(|| float(text)).unwrap_or_else(|| Self::Text(text.to_owned())),
        }
    }

    /// As a member that is a text gets it.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => float_text(value),
            Self::Text(text) => text,
        }
    }

    fn into_json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Integer(value) => Number::from_i128(value).map_or(Value::Null, Value::Number),
            Self::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            Self::Text(text) => text.into(),
        }
    }
}

/// `12`, `-1_000`, `0x1f`, `0b11`, `0o17`, `017`.
fn integer(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) || digits.starts_with(['+', '-']) {
        return None;
    }
    let radix =
        |digits: &str, radix| i128::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    let value = match digits.get(..2) {
        Some("0x" | "0X") => radix(&digits[2..], 16),
        Some("0b" | "0B") => radix(&digits[2..], 2),
        Some("0o" | "0O") => radix(&digits[2..], 8),
        _ if digits.len() > 1 && digits.starts_with('0') => radix(digits, 8),
        _ => radix(digits, 10),
    }?;
    let value = value * sign;
    let fits = i128::from(i64::MIN) <= value && value <= i128::from(u64::MAX);
    if fits { Some(Scalar::Integer(value)) } else { None }
}

fn float(text: &str) -> Option<Scalar> {
    static FORM: OnceLock<Option<Regex>> = OnceLock::new();
    let form = FORM.get_or_init(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());
    let plain = text.replace('_', "");
    let is_float = form.as_ref().is_some_and(|form| form.is_match(&plain));
    is_float.then(|| plain.parse().ok().map(Scalar::Float)).flatten()
}

/// `strconv.FormatFloat(value, 'g', -1, 32)`.
#[expect(clippy::cast_possible_truncation, reason = "the original formats it as a number of 32 bits")]
fn float_text(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    value.to_string()
}

/// The members that a value has where anything may stand, keys sorted as Go sorts them.
pub(super) fn any(tree: &ValueTree, id: Id) -> Option<Value> {
    let mut rest = MAX_VALUES;
    value(tree, id, &mut rest)
}

fn value(tree: &ValueTree, id: Id, rest: &mut usize) -> Option<Value> {
    *rest = rest.checked_sub(1)?;
    match tree.value(id) {
        YamlValue::Scalar(text, style) => Some(Scalar::of(text, *style).into_json()),
        YamlValue::Sequence(items) => items.iter().map(|item| value(tree, *item, rest)).collect(),
        YamlValue::Mapping(_) => {
            members(tree, id).into_iter().map(|(key, id)| Some((key, value(tree, id, rest)?))).collect()
        }
    }
}

/// The members of a mapping by their names, sorted. A plain `n` is a boolean as a name, too.
pub(super) fn members(tree: &ValueTree, id: Id) -> BTreeMap<String, Id> {
    let mut members = BTreeMap::new();
    let YamlValue::Mapping(pairs) = tree.value(id) else { return members };
    let mut plain = HashSet::new();
    for (key, id) in pairs {
        let YamlValue::Scalar(text, style) = tree.value(*key) else { continue };
        if **text != *"<<" {
            plain.insert(&**text);
            members.insert(Scalar::of(text, *style).into_text(), *id);
        }
    }
    // What merge keys bring does not replace.
    for (key, id) in tree.entries(id).into_iter().filter(|(key, _)| !plain.contains(key)) {
        members.entry(key.to_owned()).or_insert(id);
    }
    members
}

/// JSON as Go writes it: compact, and safe within HTML.
pub(super) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let plain = serde_json::to_string(value).unwrap_or_default();
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            // They stand in texts only, so that what is outside does not change.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.into_bytes()
}

/// A text as Helm checks it: every blank is a space, and what cannot be printed is left out (`unicode.IsPrint`).
pub(super) fn sanitized(text: &str) -> String {
    static UNPRINTED: OnceLock<Option<Regex>> = OnceLock::new();
    let spaced: String = text.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
    match UNPRINTED.get_or_init(|| Regex::new(r"[^\p{L}\p{M}\p{N}\p{P}\p{S} ]").ok()) {
        Some(unprinted) => unprinted.replace_all(&spaced, "").into_owned(),
        None => spaced,
    }
}

/// `unicode.IsSpace`.
fn is_space(c: char) -> bool {
    c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_for_texts_are_written_as_go_writes_them() {
        for (written, text) in [
            ("1.10", "1.1"),
            ("100000", "100000"),
            ("1e5", "100000"),
            ("1234567.5", "1.2345675e+06"),
            ("16777217.0", "1.6777216e+07"),
            ("0.00001", "1e-05"),
            ("3.14159265358979", "3.1415927"),
            ("1234567", "1234567"),
            ("0x1f", "31"),
            ("010", "8"),
            ("08", "8"),
            ("1_000", "1000"),
            ("yes", "true"),
            ("~", ""),
            ("1.2.3", "1.2.3"),
            ("2024-01-01", "2024-01-01"),
            ("v1", "v1"),
            ("-", "-"),
            ("+-1", "+-1"),
        ] {
            assert_eq!(Scalar::of(written, Style::Plain).into_text(), text, "{written}");
            assert_eq!(Scalar::of(written, Style::Quoted).into_text(), written);
        }
    }

    #[test]
    fn json_is_safe_within_html_and_texts_can_be_printed() {
        let written = String::from_utf8(json(&"a<b>&\u{2028}\"é")).unwrap();
        assert_eq!(written, r#""a\u003cb\u003e\u0026\u2028\"é""#);
        assert_eq!(sanitized("a\tb\nc\u{200b}\u{7f}ü"), "a b cü");
    }
}
