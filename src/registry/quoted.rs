//! Values of parameters as HTTP headers write them: a token, or a string in quotes (RFC 9110, 5.6).

/// The value at the beginning of `text`, and what follows it; a token ends before one of `ends`. `None` without the closing
/// quote.
pub(super) fn value<'a>(text: &'a str, ends: &[char]) -> Option<(String, &'a str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}
