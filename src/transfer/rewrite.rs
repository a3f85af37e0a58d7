//! `--rewrite-foreign`: non-distributable layers become distributable ones.
//!
//! containerd follows a layer's `urls` before it asks the registry, and of the ways in which that can fail only a 404 lets it
//! go on: on a disconnected site the pull ends there. Without `urls`, and of a distributable type, the same layer is taken
//! from the registry. The price is a new digest for the image and for every index that names it.

use std::collections::HashMap;

use serde_json::Value;

use crate::oci::{Digest, Manifest, ManifestError, media_type};

/// The manifests that change, by their digest before.
pub(super) type Rewritten = HashMap<Digest, Manifest>;

/// Rewrites every one of `manifests` that names a foreign layer, and the indexes above them. Children stand before those
/// that name them.
pub(super) fn foreign(manifests: &[Manifest]) -> Result<Rewritten, ManifestError> {
    let mut rewritten = Rewritten::new();
    for manifest in manifests {
        rewrite(manifest, &mut rewritten)?;
    }
    Ok(rewritten)
}

fn rewrite(manifest: &Manifest, rewritten: &mut Rewritten) -> Result<(), ManifestError> {
    let foreign_layers = manifest.layers().iter().any(crate::oci::Descriptor::is_foreign);
    let changed_children = manifest.children().iter().any(|child| rewritten.contains_key(&child.digest));
    if !foreign_layers && !changed_children {
        return Ok(());
    }
    let malformed =
        |error: serde_json::Error| ManifestError::Malformed { digest: manifest.digest(), reason: error.to_string() };
    let mut document: Value = serde_json::from_slice(manifest.raw()).map_err(malformed)?;
    for layer in items(&mut document, "layers") {
        make_distributable(layer);
    }
    for child in items(&mut document, "manifests") {
        follow_child(child, rewritten);
    }
    let raw = serde_json::to_vec(&document).map_err(malformed)?;
    let new = Manifest::parse_as(raw.into(), Some(manifest.media_type()), manifest.digest().algorithm())?;
    rewritten.insert(manifest.digest(), new);
    Ok(())
}

fn items<'a>(document: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    document.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn make_distributable(layer: &mut Value) {
    let twin = layer.get("mediaType").and_then(Value::as_str).and_then(media_type::distributable);
    if let (Some(twin), Some(layer)) = (twin, layer.as_object_mut()) {
        layer.insert("mediaType".to_owned(), twin.into());
        layer.remove("urls");
    }
}

fn follow_child(child: &mut Value, rewritten: &Rewritten) {
    let digest = child.get("digest").and_then(Value::as_str).and_then(|digest| digest.parse().ok());
    if let (Some(new), Some(child)) = (digest.and_then(|digest| rewritten.get(&digest)), child.as_object_mut()) {
        child.insert("digest".to_owned(), new.digest().to_string().into());
        child.insert("size".to_owned(), new.descriptor().size.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oci::Descriptor;

    const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

    fn manifest(document: &Value) -> Manifest {
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    #[test]
    fn a_foreign_layer_loses_its_urls_and_the_index_follows() {
        let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
        let layer = Descriptor { urls: vec!["https://x.example/l".to_owned()], ..Descriptor::of(FOREIGN, b"layer") };
        let image =
            manifest(&json!({"schemaVersion":2,"config":config,"layers":[layer],"annotations":{"z":"1","a":"2"}}));
        let plain = manifest(&json!({"schemaVersion":2,"config":config,"layers":[config]}));
        let index = manifest(&json!({"schemaVersion":2,"manifests":[image.descriptor(), plain.descriptor()]}));
        let rewritten = foreign(&[image.clone(), plain.clone(), index.clone()]).unwrap();
        assert_eq!(rewritten.len(), 2);
        let new_image = &rewritten[&image.digest()];
        assert_eq!(new_image.layers()[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
        assert!(new_image.layers()[0].urls.is_empty());
        assert_eq!(new_image.layers()[0].digest, layer.digest);
        let new_index = &rewritten[&index.digest()];
        assert_eq!(new_index.children()[0].digest, new_image.digest());
        assert_eq!(new_index.children()[0].size, new_image.descriptor().size);
        assert_eq!(new_index.children()[1].digest, plain.digest());
    }

    #[test]
    fn what_has_no_foreign_layer_stays_as_it_is() {
        let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
        let image = manifest(&json!({"schemaVersion":2,"config":config,"layers":[config]}));
        assert!(foreign(&[image]).unwrap().is_empty());
    }
}
