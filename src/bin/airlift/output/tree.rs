//! `inspect --tree`: each artifact with all that belongs to it.

use std::fmt::Write as _;

use airlift::{
    oci::{PeerText, media_type},
    transfer::inspect::{Inspection, TreeNode},
};

use super::size;

/// Hexadecimal digits of a digest: enough to tell one from another, and to search for in `--sums`.
const SHORT: usize = 12;

/// The artifacts as trees.
pub(crate) fn tree(found: &Inspection) -> String {
    let mut text = String::new();
    for artifact in &found.artifacts {
        let _ = writeln!(text, "{}  {}", artifact.reference, line(&artifact.root));
        let below: Vec<_> = artifact.root.content.iter().map(|node| (node, "")).collect();
        let attached = artifact.attached.iter().map(|node| (node, "attached "));
        branches(&below.into_iter().chain(attached).collect::<Vec<_>>(), "", &mut text);
    }
    text
}

fn branches(nodes: &[(&TreeNode, &str)], indent: &str, text: &mut String) {
    for (at, (node, role)) in nodes.iter().enumerate() {
        let (fork, bar) = if at + 1 == nodes.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        let _ = writeln!(text, "{indent}{fork}{role}{}", line(node));
        let below: Vec<_> = node.content.iter().map(|node| (node, "")).collect();
        branches(&below, &format!("{indent}{bar}"), text);
    }
}

fn line(node: &TreeNode) -> String {
    let mut line = format!("{} {:.SHORT$} {}", PeerText(kind(node)), node.digest.hex(), size(node.size));
    if let Some(platform) = &node.platform {
        let _ = write!(line, " {platform}");
    }
    if let Some(tag) = &node.tag {
        let _ = write!(line, " by tag {tag}");
    }
    if node.cut {
        line.push_str(" (and more)");
    }
    if let Some(reason) = node.absent {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let _ = write!(line, " (left out on purpose: {})", reason.as_str().unwrap_or("?"));
    }
    line
}

fn kind(node: &TreeNode) -> &str {
    match &node.artifact_type {
        _ if media_type::is_index(&node.media_type) => "index",
        // An image's type is that of its config, which says only that it is an image.
        Some(kind)
            if media_type::is_manifest(&node.media_type)
                && !kind.contains("image.config")
                && !kind.contains("container.image.v1") =>
        {
            kind
        }
        _ if media_type::is_manifest(&node.media_type) => "manifest",
        _ => &node.media_type,
    }
}
