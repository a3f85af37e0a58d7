//! mindthegap's lists of charts. Its lists of images have the form of `skopeo sync`.

use super::super::tree::{Value, ValueTree};
use super::document::{ArtifactList, Error, ListDocument};

/// Whether the document lists charts by repository or address.
pub(super) fn is_charts(tree: &ValueTree) -> bool {
    let root = tree.root();
    let repositories = tree.get(root, "repositories");
    let is_map = repositories.is_some_and(|id| {
        matches!(tree.value(id), Value::Mapping(_))
            && tree.entries(id).iter().all(|(_, id)| tree.get(*id, "repoURL").is_some())
    });
    is_map || tree.get(root, "chartURLs").is_some()
}

pub(super) fn read_charts(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    if let Some(repositories) = tree.get(root, "repositories") {
        for (_, repository) in tree.entries(repositories) {
            let url = document.text_at(repository, &["repoURL"]).unwrap_or_default();
            let Some(charts) = tree.get(repository, "charts") else { continue };
            for (name, versions) in tree.entries(charts) {
                for version in tree.items(versions) {
                    document.chart(*version, url, name, tree.text(*version).unwrap_or_default(), list);
                }
            }
        }
    }
    for item in document.items(root, &["chartURLs"]) {
        let text = tree.text(*item).ok_or_else(|| document.form(*item))?;
        if text.starts_with("oci://") {
            document.artifact(*item, text, list);
        } else {
            document.unsupported(*item, format!("the chart {text:?} is not in an OCI registry"), list);
        }
    }
    Ok(())
}
