//! Registries with their images: the YAML of `skopeo sync`, and mindthegap's, which has the same form.

use super::super::{
    tags::TagFilter,
    tree::{Id, Value, ValueTree},
};
use super::document::{ArtifactList, Error, ListDocument};

const BY_NAME: &str = "images";
const BY_PATTERN: &str = "images-by-tag-regex";
const BY_VERSION: &str = "images-by-semver";

/// Whether each member is a host with images.
pub(super) fn is_registries(tree: &ValueTree) -> bool {
    let entries = tree.entries(tree.root());
    let has_images = |id: Id| [BY_NAME, BY_PATTERN, BY_VERSION].iter().any(|key| tree.get(id, key).is_some());
    let is_host = |key: &str| key.contains(['.', ':']) || key == "localhost";
    !entries.is_empty() && entries.iter().all(|(key, id)| is_host(key) && has_images(*id))
}

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    for (host, registry) in tree.entries(document.root()) {
        for (key, value) in tree.entries(registry) {
            match key {
                BY_NAME => by_name(document, host, value, list)?,
                BY_PATTERN | BY_VERSION => {
                    for (repository, rule) in tree.entries(value) {
                        let text = tree.text(rule).ok_or_else(|| document.form(rule))?;
                        let filter = TagFilter::default();
                        let filter = if key == BY_PATTERN { filter.allow(text) } else { filter.within(text) };
                        let filter = filter.map_err(document.filter_error(rule))?;
                        document.query(rule, format!("{host}/{repository}"), filter, None, list);
                    }
                }
                "tls-verify" | "tlsVerify" if tree.text(value) == Some("false") => {
                    document.note(
                        value,
                        format!("certificates of {host} are verified all the same; use --insecure"),
                        list,
                    );
                }
                "credentials" => {
                    document.note(
                        value,
                        "credentials come from `airlift login` or docker's configuration, not from here",
                        list,
                    );
                }
                "cert-dir" => {
                    document.note(value, "certificates are given with --ca-cert and --client-cert, not here", list);
                }
                "tls-verify" | "tlsVerify" => {}
                _ => document.unsupported(value, format!("{key:?} is not known"), list),
            }
        }
    }
    Ok(())
}

/// Repositories with their tags or digests; none stands for all of them.
fn by_name(document: &ListDocument<'_>, host: &str, images: Id, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    for (repository, versions) in tree.entries(images) {
        let items = tree.items(versions);
        let is_empty = matches!(tree.value(versions), Value::Scalar(text, _) if matches!(&**text, "" | "null" | "~"));
        if !is_empty && !matches!(tree.value(versions), Value::Sequence(_)) {
            return Err(document.form(versions));
        }
        if items.is_empty() {
            document.query(versions, format!("{host}/{repository}"), TagFilter::default(), None, list);
        }
        for item in items {
            let version = tree.text(*item).ok_or_else(|| document.form(*item))?;
            let joint = if version.starts_with("sha256:") || version.starts_with("sha512:") { '@' } else { ':' };
            document.artifact_of(*item, &format!("{host}/{repository}{joint}{version}"), None, list);
        }
    }
    Ok(())
}
