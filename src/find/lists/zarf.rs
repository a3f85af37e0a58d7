//! zarf's packages, `v1alpha1` and `v1beta1`: images, and charts of registries.

use super::super::tree::Id;
use super::document::{ArtifactList, Error, ListDocument};

/// Members of a component that carry something other than artifacts of registries.
const UNDONE: [(&str, &str); 7] = [
    ("repos", "Git repositories are not carried"),
    ("repositories", "Git repositories are not carried"),
    ("files", "files of a component are not carried; name them with file:PATH"),
    ("dataInjections", "data for volumes is not carried"),
    ("imageArchives", "archives of images are not read"),
    ("import", "imported components are not followed; name their zarf.yaml too"),
    ("manifests", "manifests are not carried; `airlift find FILE` finds their images"),
];

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let root = document.root();
    for component in document.items(root, &["components"]) {
        images(document, *component, list)?;
        for chart in document.items(*component, &["charts"]) {
            self::chart(document, *chart, list)?;
        }
        for (name, what) in UNDONE {
            if let Some(id) = document.tree.get(*component, name) {
                if name == "manifests" {
                    document.note(id, what, list);
                } else {
                    document.unsupported(id, what, list);
                }
            }
        }
    }
    Ok(())
}

fn images(document: &ListDocument<'_>, component: Id, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    for item in document.items(component, &["images"]) {
        let id = tree.get(*item, "name").unwrap_or(*item);
        let text = tree.text(id).ok_or_else(|| document.form(id))?;
        if text.contains("###") {
            document.unsupported(id, format!("{text:?} holds a variable of zarf, which is not known here"), list);
        } else if tree.get_text(*item, "source") == Some("daemon") {
            document.unsupported(id, "images of a Docker daemon are not read", list);
        } else {
            document.artifact(id, text, list);
        }
    }
    Ok(())
}

/// A chart: `url` and `version` in v1alpha1, `oci.url` and `oci.ref` in v1beta1.
fn chart(document: &ListDocument<'_>, chart: Id, list: &mut ArtifactList) -> Result<(), Error> {
    let member = |path: &[&str]| document.text_at(chart, path);
    let name = member(&["name"]).unwrap_or_default();
    if let Some(url) = member(&["oci", "url"]) {
        let url = url.strip_prefix("oci://").unwrap_or(url);
        let whole = match (member(&["oci", "ref", "tag"]), member(&["oci", "ref", "digest"])) {
            (Some(tag), _) => format!("{url}:{}", tag.replace('+', "_")),
            (None, Some(digest)) => format!("{url}@{digest}"),
            (None, None) => return Err(document.form(chart)),
        };
        document.artifact_of(chart, &whole, None, list);
        return Ok(());
    }
    match (member(&["url"]), member(&["version"])) {
        // The address names the chart itself, not its folder.
        (Some(url), Some(version)) if url.starts_with("oci://") => {
            document.chart(chart, url, "", version, list);
            Ok(())
        }
        (Some(url), Some(version)) => {
            let name = member(&["repoName"]).unwrap_or(name);
            document.chart(chart, url, name, version, list);
            Ok(())
        }
        (Some(_), None) => Err(document.form(chart)),
        (None, _) if member(&["helmRepository", "url"]).is_some() => {
            let url = member(&["helmRepository", "url"]).unwrap_or_default();
            let name = member(&["helmRepository", "name"]).unwrap_or(name);
            let version = member(&["helmRepository", "version"]).ok_or_else(|| document.form(chart))?;
            document.chart(chart, url, name, version, list);
            Ok(())
        }
        (None, _) if document.at(chart, &["git"]).is_some() => {
            document.unsupported(chart, format!("the chart {name} comes from a Git repository"), list);
            Ok(())
        }
        (None, _) => {
            document.note(chart, format!("the chart {name} is a local one; `airlift find` finds its images"), list);
            Ok(())
        }
    }
}
