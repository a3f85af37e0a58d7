//! `Link` (RFC 8288), of which a list in pages needs one thing: where its next page is.

use std::str::Utf8Error;

use super::quoted;

/// A `Link` that cannot be read.
///
/// It is never passed over: a list that ends early looks like a whole one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableLink {
    /// The header is not text.
    #[error("a Link that is not text")]
    Text(#[from] Utf8Error),
    /// The header does not have the form of RFC 8288.
    #[error("a Link that cannot be read, {0} is missing in {1:?}")]
    Form(&'static str, String),
    /// Two links that both say where the next page is.
    #[error("two Links that name different next pages, {0:?} and {1:?}")]
    Ambiguous(String, String),
}

/// The target of the link with the relation `next`, among all `Link` lines of an answer.
pub fn next_link<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<String>, UnreadableLink> {
    let mut next: Option<String> = None;
    for line in lines {
        let line = std::str::from_utf8(line)?;
        let missing = |what| UnreadableLink::Form(what, line.chars().take(200).collect());
        let mut rest = line.trim_start_matches([' ', '\t', ',']);
        while !rest.is_empty() {
            let after = rest.strip_prefix('<').ok_or_else(|| missing("<"))?;
            let (target, after) = after.split_once('>').ok_or_else(|| missing(">"))?;
            let (is_next, after) = relation(after).map_err(missing)?;
            if is_next {
                match &next {
                    Some(other) if other != target => {
                        return Err(UnreadableLink::Ambiguous(other.clone(), target.to_owned()));
                    }
                    _ => next = Some(target.to_owned()),
                }
            }
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
    }
    Ok(next)
}

/// Reads the parameters of one link: whether its relation is `next`, and the text from the comma after it on.
fn relation(text: &str) -> Result<(bool, &str), &'static str> {
    let mut relation: Option<String> = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with(',') {
        rest = rest.strip_prefix(';').ok_or("a semicolon")?.trim_start();
        if rest.is_empty() || rest.starts_with([';', ',']) {
            continue;
        }
        let (name, after) = rest.split_at(rest.find(['=', ';', ',', ' ', '\t']).unwrap_or(rest.len()));
        if name.is_empty() {
            return Err("a parameter's name");
        }
        rest = after.trim_start();
        let Some(after) = rest.strip_prefix('=') else { continue };
        let (value, after) = quoted::value(after.trim_start(), &[';', ',', ' ', '\t']).ok_or("a closing quote")?;
        rest = after.trim_start();
        // RFC 8288, 3.3: of several the first counts.
        if name.eq_ignore_ascii_case("rel") {
            relation.get_or_insert(value);
        }
    }
    // Single quotes are no quotes there, but they are written.
    let is_next = |word: &str| word.trim_matches('\'').eq_ignore_ascii_case("next");
    Ok((relation.is_some_and(|relation| relation.split_ascii_whitespace().any(is_next)), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(lines: &[&str]) -> Result<Option<String>, UnreadableLink> {
        next_link(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn the_next_page_is_found_in_every_form_that_the_rfc_allows() {
        for (lines, target) in [
            (&[r#"</v2/a/tags/list?last=b&n=2>; rel="next""#][..], "/v2/a/tags/list?last=b&n=2"),
            (&["<x>; rel=prev, <y>; title=t; rel=next"], "y"),
            (&["<x>;rel=prev", "", "<y>;rel=next"], "y"),
            (&[r#"<y>; rel = "next""#], "y"),
            (&[r#"<y> ; REL="last Next""#], "y"),
            (&["<y>\t;\trel\t=\tNEXT\t"], "y"),
            (&["<y>; rel='next'"], "y"),
            (&["<y?a=1,2;3>; rel=next"], "y?a=1,2;3"),
            (&[r#"<x>; title="a, <z>; rel=next"; rel=first, <y>; title="\"; q"; rel="next""#], "y"),
            (&[r#", ,<y>; ; x; title*=UTF-8''n%C3%A4; rel="next"; rel="prev","#], "y"),
            (&["<y>; rel=next", "<y>; rel=next"], "y"),
            (&["<>; rel=next"], ""),
        ] {
            assert_eq!(next(lines), Ok(Some(target.to_owned())), "{lines:?}");
        }
    }

    #[test]
    fn other_links_are_no_next_page() {
        for line in ["", " ", ",", "<x>", r#"<x>; rel="prev""#, r#"<x>; rel="""#, "<x>; rel", "<x>; rel=prev; rel=next"]
        {
            assert_eq!(next(&[line]), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for line in [
            "x; rel=next",
            "<x; rel=next",
            "<x> rel=next",
            r#"<x>; rel="next"#,
            "<x>; =next",
            "<x>; rel=next y",
            "<x>; rel=next, y",
            "<x>; rel=next, <y>; rel=next",
        ] {
            assert!(next(&[line]).is_err(), "{line}");
        }
        assert!(next_link([&b"<\xff>; rel=next"[..]]).is_err());
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(text in "[ -~\t]{0,60}") {
            drop(next(&[&text]));
        }

        #[test]
        fn any_target_comes_back(target in "[!-;=?-~]{0,40}", title in "[ -!#-\\[\\]-~]{0,20}") {
            let line = format!("<a>; rel=first,<{target}>; title=\"{title}\"; rel=\"next\"");
            prop_assert_eq!(next(&[&line]), Ok(Some(target)));
        }
    }
}
