//! Lock files: `ImagesLock` and `BundleLock` of imgpkg, `Images.lock` of the distribution tooling for Helm (dt).

use super::document::{ArtifactList, Error, ListDocument};

pub(super) fn read(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    let root = document.root();
    match document.text_at(root, &["kind"]) {
        Some("ImagesLock") => {
            for item in document.items(root, &["images"]) {
                let image = tree.get(*item, "image").ok_or_else(|| document.form(*item))?;
                document.artifact(image, tree.text(image).ok_or_else(|| document.form(image))?, list);
            }
        }
        Some("BundleLock") => {
            let image = document.at(root, &["bundle", "image"]).ok_or_else(|| document.form(root))?;
            let text = tree.text(image).ok_or_else(|| document.form(image))?;
            let tag = document.text_at(root, &["bundle", "tag"]);
            let whole = match (text.split_once('@'), tag) {
                (Some((name, digest)), Some(tag)) => format!("{name}:{tag}@{digest}"),
                _ => text.to_owned(),
            };
            document.artifact(image, &whole, list);
            document.note(
                image,
                "the bundle is carried; the images that its own ImagesLock names are listed there",
                list,
            );
        }
        _ => return Err(document.form(root)),
    }
    Ok(())
}

/// dt locks the manifest of each architecture, and airlift carries the index above them, which the tag names.
pub(super) fn read_dt(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    let tree = document.tree;
    for item in document.items(document.root(), &["images"]) {
        let image = tree.get(*item, "image").ok_or_else(|| document.form(*item))?;
        let text = tree.text(image).ok_or_else(|| document.form(image))?;
        document.artifact(image, text, list);
        if !document.items(*item, &["digests"]).is_empty() && !text.contains('@') {
            document.note(image, "the digests of the architectures are not compared; the tag is resolved", list);
        }
    }
    Ok(())
}
