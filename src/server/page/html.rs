//! The page as text. Every name on it came from a stranger and is escaped.

use std::fmt::Write as _;

use super::gather::{CheckedCount, PageArtifact, PageContent};

/// What the page needs beside the artifacts.
pub(super) struct PageView<'a> {
    /// By what name the reader reached us; the commands use it.
    pub(super) host: &'a str,
    pub(super) secure: bool,
    pub(super) writable: bool,
    pub(super) gathered: &'a PageContent,
}

/// The whole page.
pub(super) fn page(view: &PageView<'_>) -> String {
    let PageContent { artifacts, bytes, blobs, more } = view.gathered;
    let mut page = String::with_capacity(4096 + 2048 * artifacts.len());
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let _ = write!(
        page,
        "<title>airlift registry {}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        escape(view.host),
        STYLE
    );
    let _ = writeln!(page, "<h1>airlift registry</h1>");
    let mode = if view.writable { "takes pushes" } else { "read-only" };
    let _ = writeln!(
        page,
        "<p>{}, {} in {}, {mode}</p>\n<main>",
        count(artifacts.len(), "artifact"),
        size(*bytes),
        count(*blobs, "blob")
    );
    if artifacts.is_empty() {
        page += "<p>There is nothing here yet.</p>\n";
    }
    for artifact in artifacts {
        article(&mut page, view, artifact);
    }
    if *more {
        page += "<p>There is more than fits on this page; <code>/v2/_catalog</code> lists all repositories.</p>\n";
    }
    page += "</main>\n</body>\n</html>\n";
    page
}

const STYLE: &str = include_str!("style.css");

fn article(page: &mut String, view: &PageView<'_>, artifact: &PageArtifact) {
    let name = format!("{}:{}", escape(&artifact.repository), escape(&artifact.tag));
    let _ = write!(page, "<article>\n<h2>{name}</h2>\n<ul>\n");
    let mut item = |label: &str, value: &str| {
        let _ = writeln!(page, "<li><b>{label}</b> {value}</li>");
    };
    if let Some(kind) = &artifact.kind {
        item("type", &escape(kind));
    }
    if !artifact.platforms.is_empty() {
        let platforms: Vec<_> = artifact.platforms.iter().map(|platform| escape(platform)).collect();
        item("for", &platforms.join(", "));
    }
    item("size", &size(artifact.bytes));
    let shared = if artifact.shared == 0 {
        String::new()
    } else {
        format!(", {} shared with others", count(artifact.shared, "blob"))
    };
    item("layers", &format!("{}{shared}", artifact.layers));
    if !artifact.attached.is_empty() {
        let attached: Vec<_> = artifact.attached.iter().map(|(kind, number)| count(*number, kind)).collect();
        item("with", &attached.join(", "));
    }
    item("content", &state(&artifact.check));
    let _ = write!(
        page,
        "</ul>\n<code class=\"digest\">{}</code>\n<details>\n<summary>Pull it</summary>\n",
        artifact.digest
    );
    for command in commands(view, &name) {
        let _ = writeln!(page, "<pre><code>{command}</code></pre>");
    }
    *page += "</details>\n</article>\n";
}

/// How people get it, by tool; `name` is escaped.
fn commands(view: &PageView<'_>, name: &str) -> [String; 4] {
    let reference = format!("{}/{name}", escape(view.host));
    let (podman, ctr, skopeo) =
        if view.secure { ("", "", "") } else { (" --tls-verify=false", " --plain-http", " --src-tls-verify=false") };
    let archive = name.rsplit(['/', ':']).nth(1).unwrap_or("image");
    [
        format!("docker pull {reference}"),
        format!("podman pull{podman} {reference}"),
        format!("ctr images pull{ctr} {reference}"),
        format!("skopeo copy --all{skopeo} docker://{reference} oci-archive:{archive}.tar"),
    ]
}

fn state(check: &CheckedCount) -> String {
    match check {
        CheckedCount { damaged: 1.., all, .. } => {
            format!("<span class=\"bad\">damaged: {} of {all} blobs are not what they should be</span>", check.damaged)
        }
        CheckedCount { absent: 1.., all, .. } => format!("{} of {all} blobs are not here", check.absent),
        CheckedCount { good, all, .. } if good == all => "<span class=\"good\">verified</span>".to_owned(),
        CheckedCount { good, all, .. } => {
            format!("{good} of {all} blobs verified, the others when they are first read")
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// For text and for attributes in double quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_wrote_becomes_markup() {
        assert_eq!(escape("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
    }

    #[test]
    fn the_state_says_the_worst_first() {
        let check = |good, damaged, absent| state(&CheckedCount { good, damaged, absent, all: 3 });
        assert!(check(1, 1, 1).contains("damaged: 1 of 3"));
        assert!(check(2, 0, 1).contains("1 of 3 blobs are not here"));
        assert!(check(3, 0, 0).contains(">verified<"));
        assert!(check(1, 0, 0).contains("1 of 3 blobs verified"));
    }
}
