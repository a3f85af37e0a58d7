//! airlift's own forms in YAML and JSON: a list of references, or `{registry, artifacts}`.

use super::super::tree::{Value, ValueTree};
use super::document::{ArtifactList, Error, ListDocument};

/// Whether the document is a list of texts.
pub(super) fn is_list(tree: &ValueTree) -> bool {
    matches!(tree.value(tree.root()), Value::Sequence(_))
}

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    if let Some((_, id)) = tree.entries(root).iter().find(|(key, _)| !matches!(*key, "registry" | "artifacts")) {
        return Err(document.form(*id));
    }
    let own = document.text_at(root, &["registry"]);
    let registry = document.registry.or(own);
    let artifacts =
        if is_list(tree) { root } else { tree.get(root, "artifacts").ok_or_else(|| document.form(root))? };
    let Value::Sequence(items) = tree.value(artifacts) else { return Err(document.form(artifacts)) };
    for item in items {
        let text = tree.text(*item).ok_or_else(|| document.form(*item))?;
        document.artifact_of(*item, text, registry, list);
    }
    Ok(())
}
