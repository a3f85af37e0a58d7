//! The page as text. Every name on it came from a stranger and is escaped.

use std::fmt::Write as _;

use super::gather::{CheckedCount, PageArtifact, PageContent};
use crate::review::escape;

/// What the page needs beside the artifacts.
pub(super) struct PageView<'a> {
    /// By what name the reader reached us; the commands use it.
    pub(super) host: &'a str,
    pub(super) secure: bool,
    pub(super) writable: bool,
    pub(super) gathered: &'a PageContent,
    /// What the names on it contain.
    pub(super) search: &'a str,
    /// Whether there are bundles, which have a page to review them.
    pub(super) has_bundles: bool,
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
    let _ = writeln!(
        page,
        "<form><input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"name, tag or digest\" \
         aria-label=\"name, tag or digest\"> <button>Search</button></form>",
        escape(view.search)
    );
    if artifacts.is_empty() {
        let what = if view.search.is_empty() { "There is nothing here yet." } else { "Nothing here has such a name." };
        let _ = writeln!(page, "<p>{what}</p>");
    }
    // Names come in order, so that those of a repository are neighbours.
    for group in artifacts.chunk_by(|one, other| one.repository == other.repository) {
        section(&mut page, view, group);
    }
    if *more {
        page += "<p>There is more than fits on this page; <code>/v2/_catalog</code> lists all repositories.</p>\n";
    }
    if view.has_bundles {
        page += "<p><a href=\"/?review\">Review of the bundles</a>, to print</p>\n";
    }
    page += "</main>\n</body>\n</html>\n";
    page
}

const STYLE: &str = include_str!("style.css");

/// A repository with its artifacts: a line each, and the rest of each folded away.
fn section(page: &mut String, view: &PageView<'_>, group: &[PageArtifact]) {
    let Some(first) = group.first() else { return };
    let _ = writeln!(page, "<section>\n<h2>{}</h2>", escape(&first.repository));
    let hosts: Vec<_> = first.hosts.iter().map(|host| escape(host)).collect();
    if !hosts.is_empty() {
        let _ = writeln!(page, "<p class=\"from\">from {}</p>", hosts.join(", "));
    }
    for artifact in group {
        article(page, view, artifact);
    }
    *page += "</section>\n";
}

fn article(page: &mut String, view: &PageView<'_>, artifact: &PageArtifact) {
    let repository = escape(&artifact.repository);
    let (shown, name) = if let Some(tag) = &artifact.tag {
        (escape(tag), format!("{repository}:{}", escape(tag)))
    } else {
        let digest = artifact.digest.to_string();
        (format!("@{}…", &digest[..19]), format!("{repository}@{digest}"))
    };
    let platforms: Vec<_> = artifact.platforms.iter().map(|platform| escape(platform)).collect();
    let about = match (&platforms[..], &artifact.kind) {
        ([], _) if artifact.is_chart => "Helm chart".to_owned(),
        ([], Some(kind)) => escape(kind),
        ([], None) => String::new(),
        (few, _) => few.join(", "),
    };
    let bad = if artifact.check.damaged > 0 { " <span class=\"bad\">damaged</span>" } else { "" };
    let _ = write!(
        page,
        "<details>\n<summary><b>{shown}</b> <span>{about}</span> <span>{}</span>{bad}</summary>\n<ul>\n",
        size(artifact.bytes)
    );
    let mut item = |label: &str, value: &str| {
        let _ = writeln!(page, "<li><b>{label}</b> {value}</li>");
    };
    if let Some(kind) = &artifact.kind {
        item("type", &escape(kind));
    }
    let shared = if artifact.shared == 0 {
        String::new()
    } else {
        format!(", {} shared with others", count(artifact.shared, "blob"))
    };
    item("layers", &format!("{}{shared}", artifact.layers));
    if !artifact.files.is_empty() {
        let files: Vec<_> = artifact.files.iter().map(|file| escape(file)).collect();
        item("files", &files.join(", "));
    }
    if !artifact.attached.is_empty() {
        let attached: Vec<_> = artifact.attached.iter().map(|(kind, number)| count(*number, kind)).collect();
        item("with", &attached.join(", "));
    }
    item("content", &state(&artifact.check));
    let _ = writeln!(page, "</ul>\n<code class=\"digest\">{}</code>", artifact.digest);
    for command in commands(view, artifact, &name) {
        let _ = writeln!(page, "<pre><code>{command}</code></pre>");
    }
    *page += "</details>\n";
}

/// How people get it, by tool; `name` is escaped.
fn commands(view: &PageView<'_>, artifact: &PageArtifact, name: &str) -> Vec<String> {
    let reference = format!("{}/{name}", escape(view.host));
    let plain = |option: &'static str| if view.secure { "" } else { option };
    let archive = escape(artifact.repository.rsplit('/').next().unwrap_or("artifact"));
    let copy =
        format!("skopeo copy --all{} docker://{reference} oci-archive:{archive}.tar", plain(" --src-tls-verify=false"));
    if artifact.is_chart {
        let chart = format!("{}/{}", escape(view.host), escape(&artifact.repository));
        let version = match &artifact.tag {
            // Helm writes + in a version as _ in a tag.
            Some(tag) => format!("oci://{chart} --version {}", escape(&tag.replace('_', "+"))),
            None => format!("oci://{reference}"),
        };
        return vec![format!("helm pull{} {version}", plain(" --plain-http")), copy];
    }
    if !artifact.files.is_empty() {
        return vec![format!("oras pull{} {reference}", plain(" --plain-http")), copy];
    }
    vec![
        format!("docker pull {reference}"),
        format!("podman pull{} {reference}", plain(" --tls-verify=false")),
        format!("ctr images pull{} {reference}", plain(" --plain-http")),
        copy,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_the_worst_first() {
        let check = |good, damaged, absent| state(&CheckedCount { good, damaged, absent, all: 3 });
        assert!(check(1, 1, 1).contains("damaged: 1 of 3"));
        assert!(check(2, 0, 1).contains("1 of 3 blobs are not here"));
        assert!(check(3, 0, 0).contains(">verified<"));
        assert!(check(1, 0, 0).contains("1 of 3 blobs verified"));
    }
}
