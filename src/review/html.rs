//! The page as text. Names come from strangers and are escaped.

use std::fmt::Write as _;

use bytesize::ByteSize;

use super::gather::{Change, Review, ReviewedArtifact};
use crate::oci::Digest;

const STYLE: &str = include_str!("style.css");

/// Bars on the page; the other repositories share one.
const MAX_BARS: usize = 20;

/// One page about `reviews`.
pub fn page(reviews: &[Review]) -> String {
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n".to_owned();
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let names: Vec<_> = reviews.iter().map(|review| escape(&review.name)).collect();
    let _ = write!(page, "<title>Review of {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", names.join(", "));
    for review in reviews {
        bundle(&mut page, review);
    }
    page += "</body>\n</html>\n";
    page
}

fn bundle(page: &mut String, review: &Review) {
    let _ = writeln!(page, "<article>\n<h1>{}</h1>\n<dl>", escape(&review.name));
    let mut item = |label: &str, value: &str| {
        let _ = writeln!(page, "<dt>{label}</dt><dd>{value}</dd>");
    };
    item("Bundle id", &code(&review.bundle));
    if let Some(seal) = &review.seal {
        item("Seal", &code(seal));
    }
    item("Size", &format!("{}, {}", size(review.size), count(review.artifacts.len(), "artifact")));
    if review.needs.0 > 0 {
        let bases: Vec<_> = review.bases.iter().map(code).collect();
        let of = if bases.is_empty() { String::new() } else { format!(", of {}", bases.join(", ")) };
        item("Needs", &format!("{} ({}) that the target must have{of}", blobs(review.needs.0), size(review.needs.1)));
    }
    if review.left_out > 0 {
        item("Left out", &format!("{} of other platforms or non-distributable", blobs(review.left_out)));
    }
    for line in &review.beside {
        item("Beside it", &escape(line));
    }
    *page += "</dl>\n";
    changes(page, review);
    *page +=
        "<h2>Artifacts</h2>\n<table>\n<thead><tr><th>Artifact</th><th>Platforms</th><th>Size</th><th>Attached</th>";
    *page +=
        if review.against.is_some() { "<th>Change</th></tr></thead>\n<tbody>\n" } else { "</tr></thead>\n<tbody>\n" };
    for artifact in &review.artifacts {
        row(page, artifact);
    }
    *page += "</tbody>\n</table>\n";
    bars(page, review);
    *page += "<h2>Decision</h2>\n<div class=\"sign\"><p>Accepted / refused</p><p>Name</p><p>Date</p><p>Signature</p></div>\n";
    *page += "</article>\n";
}

/// What is different from the base.
fn changes(page: &mut String, review: &Review) {
    let Some((name, removed)) = &review.against else { return };
    let number =
        |is: fn(&Change) -> bool| review.artifacts.iter().filter(|one| one.change.as_ref().is_some_and(is)).count();
    let (added, moved) = (number(|one| *one == Change::Added), number(|one| matches!(one, Change::Moved(_))));
    let (same, gone) = (number(|one| *one == Change::Same), removed.len() + review.more_removed);
    let _ = writeln!(
        page,
        "<h2>Against {}</h2>\n<p>{added} added, {moved} moved, {gone} removed, {same} unchanged</p>",
        escape(name)
    );
    if !removed.is_empty() {
        *page += "<p>Not in it any more (an import removes nothing):</p>\n<ul>\n";
        for (reference, digest) in removed {
            let _ = writeln!(page, "<li>{} {}</li>", escape(&reference.to_string()), code(digest));
        }
        if review.more_removed > 0 {
            let _ = writeln!(page, "<li>and {} more</li>", review.more_removed);
        }
        *page += "</ul>\n";
    }
}

fn row(page: &mut String, artifact: &ReviewedArtifact) {
    let attached: Vec<_> =
        artifact.attached.iter().map(|(kind, number)| format!("{number} × {}", escape(kind))).collect();
    let platforms: Vec<_> = artifact.platforms.iter().map(|one| escape(one)).collect();
    let none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let change = match &artifact.change {
        None => String::new(),
        Some(Change::Added) => "<td class=\"added\">added</td>".to_owned(),
        Some(Change::Moved(from)) => format!("<td class=\"moved\">moved from {}</td>", code(from)),
        Some(Change::Same) => "<td>unchanged</td>".to_owned(),
    };
    let _ = writeln!(
        page,
        "<tr><td>{}<br>{}</td><td>{}</td><td>{}</td><td>{}</td>{change}</tr>",
        escape(&artifact.reference.to_string()),
        code(&artifact.digest),
        none(platforms.join(", ")),
        size(artifact.bytes),
        none(attached.join("<br>"))
    );
}

/// A bar for each of the largest repositories.
fn bars(page: &mut String, review: &Review) {
    let all: u64 = review.repositories.iter().fold(0, |sum, (_, bytes)| u64::saturating_add(sum, *bytes));
    if all == 0 {
        return;
    }
    *page += "<h2>Size by repository</h2>\n<div class=\"bars\">\n";
    let mut bar = |name: &str, bytes: u64| {
        // Thousandths are enough, and leave no room for a number that is none.
        let share = u128::from(bytes) * 1000 / u128::from(all);
        let _ = writeln!(
            page,
            "<p>{} <b>{}</b><span style=\"width:{}.{}%\"></span></p>",
            escape(name),
            size(bytes),
            share / 10,
            share % 10
        );
    };
    let (shown, others) = review.repositories.split_at(review.repositories.len().min(MAX_BARS));
    for (name, bytes) in shown {
        bar(name, *bytes);
    }
    if !others.is_empty() {
        let bytes = others.iter().fold(0, |sum, (_, bytes)| u64::saturating_add(sum, *bytes));
        bar(&format!("{} others", others.len()), bytes);
    }
    *page += "</div>\n";
}

fn code(digest: &Digest) -> String {
    format!("<code>{digest}</code>")
}

fn blobs(number: u64) -> String {
    format!("{number} blob{}", if number == 1 { "" } else { "s" })
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// For text and for attributes in double quotes.
pub fn escape(text: &str) -> String {
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
}
