//! oc-mirror's `ImageSetConfiguration`: its additional images and the charts of registries.

use super::super::rules::from_glob;
use super::document::{ArtifactList, Error, ListDocument};

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    if !matches!(document.text_at(root, &["kind"]), Some("ImageSetConfiguration")) {
        return Err(document.form(root));
    }
    for item in document.items(root, &["mirror", "additionalImages"]) {
        let name = tree.get(*item, "name").ok_or_else(|| document.form(*item))?;
        document.artifact(name, tree.text(name).ok_or_else(|| document.form(name))?, list);
        for key in ["targetRepo", "targetTag"] {
            if let Some(id) = tree.get(*item, key) {
                document.note(id, "where artifacts go is said at import (--map), not here", list);
            }
        }
    }
    for repository in document.items(root, &["mirror", "helm", "repositories"]) {
        let url = document.text_at(*repository, &["url"]).unwrap_or_default();
        for chart in document.items(*repository, &["charts"]) {
            let member = |name: &str| document.text_at(*chart, &[name]);
            match (member("name"), member("version")) {
                (Some(name), Some(version)) => document.chart(*chart, url, name, version, list),
                _ => document.unsupported(*chart, "a chart without name and version is not carried", list),
            }
        }
    }
    for (path, what) in [
        (&["mirror", "platform"][..], "releases of OpenShift are not resolved; list their images"),
        (&["mirror", "operators"], "catalogs of operators are not resolved; list their images"),
        (&["mirror", "helm", "local"], "local charts are not carried; `airlift find CHART` finds their images"),
        (&["mirror", "samples"], "samples are not resolved; list their images"),
    ] {
        if let Some(id) =
            document.at(root, path).filter(|id| !tree.items(*id).is_empty() || !tree.entries(*id).is_empty())
        {
            document.unsupported(id, what, list);
        }
    }
    block(document, list);
    Ok(())
}

/// Takes out what `blockedImages` names: an image, a repository, or a pattern.
fn block(document: &ListDocument<'_>, list: &mut ArtifactList) {
    let tree = document.tree;
    for item in document.items(document.root(), &["mirror", "blockedImages"]) {
        let Some(text) = tree.get_text(*item, "name").or_else(|| tree.text(*item)) else { continue };
        let Ok(pattern) = regex::Regex::new(&from_glob(text)) else { continue };
        list.artifacts.retain(|artifact| {
            let reference = &artifact.reference;
            let whole = reference.to_string();
            let repository = format!("{}/{}", reference.registry(), reference.repository());
            !pattern.is_match(&whole) && !pattern.is_match(&repository)
        });
    }
}
