//! Flux Mirror's configuration: artifacts of registries with a choice of tags, and charts.

use super::super::{tags::TagFilter, tree::Id};
use super::document::{ArtifactList, Error, ListDocument};

/// How many tags Flux Mirror takes where no limit is written.
const DEFAULT_LIMIT: usize = 1;

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    for item in document.items(root, &["artifacts"]) {
        let source = tree.get(*item, "source").ok_or_else(|| document.form(*item))?;
        let text = tree.text(source).ok_or_else(|| document.form(source))?;
        if let Some(id) = tree.get(*item, "verify") {
            document.unsupported(id, "a signature is not verified here; check it with cosign", list);
        }
        artifact(document, *item, source, text, list)?;
    }
    for item in document.items(root, &["charts"]) {
        let member = |name: &str| document.text_at(*item, &[name]);
        let (Some(name), Some(source)) = (member("name"), member("source")) else { return Err(document.form(*item)) };
        match source.strip_prefix("oci://") {
            Some(repository) => {
                let filter = TagFilter::default()
                    .within(member("version").unwrap_or("*"))
                    .map_err(document.filter_error(*item))?;
                let repository = format!("{}/{name}", repository.trim_end_matches('/'));
                document.query(*item, repository, filter, limit(document, *item), list);
            }
            // The newest of an index is what a chart without a limit means; more of them only the person can name.
            None if limit(document, *item).is_none_or(|limit| limit == 1) => {
                document.chart(*item, source, name, member("version").unwrap_or("*"), list);
            }
            None => {
                document.unsupported(
                    *item,
                    format!("several versions of the chart {name} cannot be chosen; list each"),
                    list,
                );
            }
        }
    }
    Ok(())
}

fn artifact(
    document: &ListDocument<'_>,
    item: Id,
    source: Id,
    text: &str,
    list: &mut ArtifactList,
) -> Result<(), Error> {
    let is_exact = text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if is_exact {
        document.artifact(source, text, list);
        return Ok(());
    }
    let mut filter = TagFilter::default();
    if let Some(pattern) = document.text_at(item, &["selector", "regex", "pattern"]) {
        filter = filter.allow(pattern).map_err(document.filter_error(item))?;
    }
    if let Some(range) = document.text_at(item, &["selector", "semver"]) {
        filter = filter.within(range).map_err(document.filter_error(item))?;
    }
    if let Some(id) = document.at(item, &["selector", "regex", "extract"]) {
        document.unsupported(id, "a part of a tag cannot be taken out to sort by", list);
    }
    if let Some(id) =
        document.at(item, &["selector", "sortBy"]).filter(|id| document.tree.text(*id) == Some("numerical"))
    {
        document.unsupported(id, "tags are sorted as versions or as text, not as numbers", list);
    }
    let latest = document.at(item, &["selector"]).map_or(Some(DEFAULT_LIMIT), |selector| limit(document, selector));
    document.query(source, text.to_owned(), filter, latest, list);
    Ok(())
}

/// `limit` of `id`; 0 stands for all.
fn limit(document: &ListDocument<'_>, id: Id) -> Option<usize> {
    let written = document.text_at(id, &["limit"]).and_then(|text| text.parse().ok());
    Some(written.unwrap_or(DEFAULT_LIMIT)).filter(|limit| *limit > 0)
}
