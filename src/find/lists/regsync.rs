//! regsync's configuration: `sync` with images, and repositories with a choice of tags.

use super::super::{
    tags::TagFilter,
    tree::{Id, ValueTree},
};
use super::document::{ArtifactList, Error, ListDocument};

/// Whether `sync` is a list of entries with a source.
pub(super) fn is_regsync(tree: &ValueTree) -> bool {
    let sync = tree.get(tree.root(), "sync");
    sync.is_some_and(|id| tree.items(id).iter().any(|item| tree.get(*item, "source").is_some()))
}

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    for item in document.items(root, &["sync"]) {
        let source = tree.get(*item, "source").ok_or_else(|| document.form(*item))?;
        let text = tree.text(source).ok_or_else(|| document.form(source))?;
        if text.contains("{{") {
            document.unsupported(source, "templates of regsync are not filled in", list);
            continue;
        }
        if text.starts_with("ocidir://") {
            document.unsupported(source, "folders of OCI layouts are no registry; name them with --from", list);
            continue;
        }
        match document.text_at(*item, &["type"]) {
            Some("repository") => {
                let filter = filter(document, *item)?;
                document.query(source, text.to_owned(), filter, None, list);
            }
            Some("registry") => document.unsupported(
                source,
                format!("all of {text} cannot be listed here; use `airlift find {text} --repositories '*'`"),
                list,
            ),
            Some("image") | None => document.artifact(source, text, list),
            Some(other) => document.unsupported(source, format!("type {other:?} is not known"), list),
        }
        for name in ["platform", "platforms"] {
            let chosen = tree.get(*item, name).or_else(|| document.at(root, &["defaults", name]));
            if let Some(id) = chosen.filter(|id| tree.text(*id) != Some("")) {
                document.unsupported(
                    id,
                    "a platform of one entry cannot be chosen; use --platform for all of them",
                    list,
                );
            }
        }
        if let Some(id) = tree.get(*item, "mediaTypes") {
            document.unsupported(id, "media types cannot be chosen", list);
        }
    }
    for name in ["creds", "defaults"] {
        if let Some(id) = tree.get(root, name) {
            document.note(
                id,
                format!("{name} are not read: credentials come from `airlift login` or docker's configuration"),
                list,
            );
        }
    }
    Ok(())
}

/// Patterns of regsync must match the whole tag.
fn filter(document: &ListDocument<'_>, item: Id) -> Result<TagFilter, Error> {
    let mut filter = TagFilter::default();
    for pattern in document.items(item, &["tags", "allow"]) {
        let text = document.tree.text(*pattern).unwrap_or_default();
        filter = filter.allow(&format!("^(?:{text})$")).map_err(document.filter_error(*pattern))?;
    }
    for pattern in document.items(item, &["tags", "deny"]) {
        let text = document.tree.text(*pattern).unwrap_or_default();
        filter = filter.deny(&format!("^(?:{text})$")).map_err(document.filter_error(*pattern))?;
    }
    for range in document.items(item, &["tags", "semverRange"]) {
        filter =
            filter.within(document.tree.text(*range).unwrap_or_default()).map_err(document.filter_error(*range))?;
    }
    Ok(filter)
}
