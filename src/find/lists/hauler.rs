//! hauler's manifests: `Images` and `Charts` of `content.hauler.cattle.io`.

use super::super::tree::Id;
use super::document::{ArtifactList, Error, ListDocument};

/// Members of an image that ask for a check of signatures, or change what is stored.
const UNDONE: [(&str, &str); 9] = [
    ("key", "a signature is not verified here; check it with cosign"),
    ("certificate-identity", "a signature is not verified here; check it with cosign"),
    ("certificate-identity-regexp", "a signature is not verified here; check it with cosign"),
    ("certificate-oidc-issuer", "a signature is not verified here; check it with cosign"),
    ("certificate-oidc-issuer-regexp", "a signature is not verified here; check it with cosign"),
    ("certificate-github-workflow-repository", "a signature is not verified here; check it with cosign"),
    ("platform", "a platform of one image cannot be chosen; use --platform for all of them"),
    ("rewrite", "names are changed at import (--map), not here"),
    ("local", "images of a Docker daemon are not read"),
];

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    let annotation = |name: &str| document.at(root, &["metadata", "annotations", name]);
    for (name, what) in UNDONE {
        if let Some(id) = annotation(&format!("hauler.dev/{name}")) {
            document.unsupported(id, what, list);
        }
    }
    match document.text_at(root, &["kind"]) {
        Some("Images") => {
            let own = annotation("hauler.dev/registry").and_then(|id| tree.text(id));
            for item in document.items(root, &["spec", "images"]) {
                let name = tree.get(*item, "name").ok_or_else(|| document.form(*item))?;
                let text = tree.text(name).ok_or_else(|| document.form(name))?;
                document.artifact_of(name, text, document.registry.or(own), list);
                undone(document, *item, &UNDONE, list);
            }
        }
        Some("Charts") => charts(document, list),
        Some(kind) => document.unsupported(root, format!("hauler's {kind} are not carried"), list),
        None => return Err(document.form(root)),
    }
    Ok(())
}

fn undone(document: &ListDocument<'_>, item: Id, members: &[(&str, &str)], list: &mut ArtifactList) {
    for (name, what) in members {
        let Some(id) = document.tree.get(item, name) else { continue };
        if !matches!(document.tree.text(id), Some("" | "false" | "null")) {
            document.unsupported(id, *what, list);
        }
    }
}

fn charts(document: &ListDocument<'_>, list: &mut ArtifactList) {
    const UNDONE: [(&str, &str); 4] = [
        ("add-images", "images of a chart are found by `airlift find CHART`"),
        ("add-dependencies", "dependencies of a chart are not followed"),
        ("verify", "the provenance of a chart is not verified"),
        ("rewrite", "names are changed at import (--map), not here"),
    ];
    for item in document.items(document.root(), &["spec", "charts"]) {
        let member = |name: &str| document.text_at(*item, &[name]);
        let (Some(name), Some(repository)) = (member("name"), member("repoURL")) else {
            document.unsupported(*item, "a chart without name and repoURL is a local file, which is not carried", list);
            continue;
        };
        match member("version") {
            Some(version) => document.chart(*item, repository, name, version, list),
            // An index says which version is the newest; a registry is not asked here.
            None if repository.starts_with("http") => document.chart(*item, repository, name, "*", list),
            None => document.unsupported(*item, format!("the chart {name} has no version"), list),
        }
        undone(document, *item, &UNDONE, list);
    }
}
