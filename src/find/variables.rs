//! Variables in compose files and Dockerfiles.

use std::collections::BTreeMap;

/// Replaces variables as compose and Dockerfiles write them: `$A`, `${A}`, `${A:-default}`, `${A-default}`, `$$`.
/// The error is the name of one without a value.
pub(super) fn interpolate(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        }
        let (inner, left) = match after.strip_prefix('{') {
            Some(after) => closing(after).ok_or_else(|| text.to_owned())?,
            None => after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len())),
        };
        result.push_str(&value(inner, variables)?);
        rest = left;
    }
    result.push_str(rest);
    Ok(result)
}

/// Divides `A:-${B}}rest` at the brace that closes.
fn closing(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn value(expression: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let end = expression.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(expression.len());
    let (name, operator) = expression.split_at(end);
    let known = variables.get(name);
    let given = known.filter(|value| !value.is_empty());
    if let Some(default) = operator.strip_prefix(":-") {
        return given.map_or_else(|| interpolate(default, variables), |value| Ok(value.clone()));
    }
    if let Some(default) = operator.strip_prefix('-') {
        return known.map_or_else(|| interpolate(default, variables), |value| Ok(value.clone()));
    }
    if let Some(other) = operator.strip_prefix(":+").or_else(|| operator.strip_prefix('+')) {
        return given.map_or_else(|| Ok(String::new()), |_| interpolate(other, variables));
    }
    known.cloned().ok_or_else(|| name.to_owned())
}

/// The variables of a `.env` file.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_values_defaults_or_names() {
        let known = variables("# c\nTAG=1.2\nexport HOST=\"r.example\"\nEMPTY=\n");
        for (text, expected) in [
            ("$HOST/a:${TAG}", Ok("r.example/a:1.2")),
            ("${NONE:-quay.io}/a:${EMPTY:-9}", Ok("quay.io/a:9")),
            ("a${EMPTY-x}:${NONE-${TAG}}", Ok("a:1.2")),
            ("a:$$x", Ok("a:$x")),
            ("a:${TAG:+y}${NONE:+z}", Ok("a:y")),
            ("a:${NONE}", Err("NONE")),
            ("a:${NONE:?must be set}", Err("NONE")),
        ] {
            let result = interpolate(text, &known);
            assert_eq!(result.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
